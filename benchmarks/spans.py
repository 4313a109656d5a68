"""What the spans of one decision cost the thread that decides, with nobody who follows requests and with a collector.

`python -m benchmarks.spans [--times 2000]`. A span of the door, one of the decision with its attributes, and one of the
commit, as a request has them; sending them is another thread's.
"""

from __future__ import annotations

import argparse
import time

from policy_engine.app.tracing import tracing_to
from policy_engine.service.gate.spans import NO_SPANS, Spans
from tests.gateways.collecting import collecting

_ANSWER = b'{"allowed":true,"decision_id":"01KCBENCH00000000000000000","reason":{"public_code":"ALLOWED"}}'
_SENDER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def followed(spans: Spans) -> None:
    """The spans of one request."""
    with spans.door("POST", _SENDER) as door:
        door.tell({"http.request.method": "POST"})
        with spans.step("decide") as decide:
            with spans.step("commit"):
                pass
            decide.decided((_ANSWER,), action="infer", gateway="edge")
        door.tell({"http.response.status_code": 200})
        door.tell({"http.route": "/decide"}, name="POST /decide")


def microseconds(spans: Spans, times: int) -> float:
    """Of the processor, for each request, in this thread alone."""
    began = time.thread_time()
    for _ in range(times):
        followed(spans)
    return (time.thread_time() - began) / times * 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=2_000)
    times = parser.parse_args().times
    with collecting() as collector:
        tracing = tracing_to(collector.address)
        print(f"nobody follows: {microseconds(NO_SPANS, times):.1f} us for each request")
        print(f"to a collector: {microseconds(tracing.spans, times):.1f} us for each request")
        tracing.close()


if __name__ == "__main__":
    main()
