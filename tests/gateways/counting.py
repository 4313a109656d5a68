"""How often a request reaches the models behind Envoy while the decision point misbehaves, by the page's configuration.

`python -m tests.gateways.counting [--times 20]` prints the tables of `docs/gateways/README.md`. Envoy is the real one;
the decision point is a stand-in that does one wrong thing, over HTTP and over gRPC.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from policy_engine.cli.gateway_dialects import EMPTY, UNDECIDED, UNSET
from policy_engine.cli.gateway_stand_in_grpc import WRONG
from policy_engine.gateways.grpc_check import SERVICE
from tests.gateways.envoys import Door, authz_of, documented, door, over_grpc, without
from tests.gateways.programs import free_port
from tests.gateways.stands import GARBAGE, HANG, MISBEHAVIOURS, RESET, Models, chat, misbehaving, models

GUARD: Final = "require-decision"
DOWN: Final = "is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of `times` requests: the statuses that the client got, and how many reached the models."""

    does: str
    times: int
    statuses: frozenset[int]
    reached: int


Start = Callable[[int], AbstractContextManager[object]]


def _http(does: bytes) -> Start:
    return lambda port: misbehaving(port, does)


OVER_HTTP: Final[dict[str, Start]] = {
    DOWN: lambda _: nullcontext(),
    **{name: _http(does) for name, does in MISBEHAVIOURS.items()},
}

ALLOWS: Final = frozenset({EMPTY, UNSET, UNDECIDED})
"""What Envoy alone takes for an allow."""


@contextmanager
def _grpc(port: int, answer: Callable[[Any], bytes]) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda _, context: answer(context))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Check": handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield
    finally:
        server.stop(0).wait()


def _says(data: bytes) -> Start:
    return lambda port: _grpc(port, lambda _: data)


def _hangs(_: Any) -> bytes:
    time.sleep(1)
    return b""


def _fails(context: Any) -> bytes:
    context.abort(grpc.StatusCode.INTERNAL, "broken")
    return b""


OVER_GRPC: Final[dict[str, Start]] = {
    DOWN: lambda _: nullcontext(),
    "takes connections and hangs": _http(HANG),
    "resets the connection": _http(RESET),
    "hangs in the call": lambda port: _grpc(port, _hangs),
    "fails in the call": lambda port: _grpc(port, _fails),
    **{name: _says(data) for name, data in WRONG.items()},
}


def counted(asked: Door, port: int, faults: dict[str, Start], times: int) -> list[Row]:
    """A row for each of the faults of the decision point on that port; the request is one that could be allowed."""
    rows = []
    for name, start in faults.items():
        with start(port):
            asked.models.taken()
            statuses = {asked.ask(content=chat("opus-4.6")).status_code for _ in range(times)}
            reached = len(asked.models.taken())
        rows.append(Row(does=name, times=times, statuses=frozenset(statuses), reached=reached))
    return rows


@contextmanager
def asking(
    folder: Path, stand: Models, *, by_grpc: bool, guarded: bool, failing_open: bool = False
) -> Iterator[tuple[Door, int]]:
    """Envoy by the page's configuration, whole or without its guard, and the port where it looks for a decision."""
    port = free_port()
    config = over_grpc(documented()) if by_grpc else documented()
    authz_of(config)["failure_mode_allow"] = failing_open
    if not guarded:
        config = without(config, GUARD)
    with door(config, folder, stand, http=port, grpc=port, key="pe_test_test") as one:
        yield one, port


def main(arguments: Sequence[str]) -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    times: int = parser.parse_args(arguments).times
    with tempfile.TemporaryDirectory() as folder, models() as stand:
        for by_grpc, faults in ((False, OVER_HTTP), (True, OVER_GRPC)):
            found = []
            for guarded in (True, False):
                place = Path(folder) / f"{by_grpc}-{guarded}"
                with asking(place, stand, by_grpc=by_grpc, guarded=guarded) as (one, port):
                    found.append(counted(one, port, faults, times))
            sys.stdout.write(f"\n{'gRPC' if by_grpc else 'HTTP'}, {times} requests each\n\n")
            sys.stdout.write(
                f"| decision point | client | reached the models | without `{GUARD}` |\n|---|---|---|---|\n"
            )
            for with_guard, bare in zip(*found, strict=True):
                told = ", ".join(map(str, sorted(with_guard.statuses)))
                sys.stdout.write(f"| {with_guard.does} | {told} | {with_guard.reached} | {bare.reached} |\n")
            total = sum(row.times for row in found[0])
            sys.stdout.write(f"| together | | {sum(row.reached for row in found[0])} of {total} | |\n")


__all__ = ["ALLOWS", "DOWN", "GARBAGE", "OVER_GRPC", "OVER_HTTP", "asking", "counted"]

if __name__ == "__main__":
    main(sys.argv[1:])
