"""`python -m tests.gateways.latency [REQUESTS]`: what a request through each proxy takes, against `POST /decide` asked
directly, one after the other and in turns, with the model answering at once."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from policy_engine.app.builder import upgrade
from policy_engine.app.settings import Settings
from tests.gateways.proxy_doors import ALLOWED, Door, opened

_ASKED: Final = json.dumps(
    {
        "subject": {"type": "person", "id": "carol"},
        "model": ALLOWED,
        "action": "infer",
        "purpose": "internal_tools",
        "place": {"ip_country": "US"},
    }
).encode()


def _milliseconds(ask: Callable[[], int]) -> float:
    began = time.perf_counter()
    assert ask() == 200
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure and print."""
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = folder / "empty.db"
        upgrade(Settings(database_url=f"sqlite:///{empty}"))
        (folder / "run").mkdir()
        with opened(empty, folder / "run") as doors:
            server = next(iter(doors.values())).server
            ways: dict[str, Callable[[], int]] = {
                "`POST /decide`, directly": lambda: server.request("POST", "/decide", _ASKED)[0]
            }

            def through(door: Door) -> Callable[[], int]:
                return lambda: door.ask()[0].status

            ways |= {title: through(door) for title, door in doors.items()}
            taken: dict[str, list[float]] = {title: [] for title in ways}
            for number in range(requests + _WARM):
                for title, ask in ways.items():
                    took = _milliseconds(ask)
                    if number >= _WARM:
                        taken[title].append(took)
    direct = statistics.median(next(iter(taken.values())))
    out = sys.stdout
    out.write("| way | p50 | p95 | p50 against `/decide` |\n|---|---|---|---|\n")
    for title, all_of_it in taken.items():
        p50, p95 = statistics.median(all_of_it), statistics.quantiles(all_of_it, n=20)[-1]
        out.write(f"| {title} | {p50:.1f} ms | {p95:.1f} ms | {p50 / direct:.1f} |\n")


_WARM: Final = 20

if __name__ == "__main__":
    main()
