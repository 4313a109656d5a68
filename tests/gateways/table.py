"""`python -m tests.gateways.table [ROUNDS]`: how often each proxy lets a request through while the engine fails.

Prints the table of `docs/gateways/README.md`: each documented configuration, and beside them what the same programs do
when they are asked in the plainest way or with a trap.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from policy_engine.cli.gateway_bench import Bench, Client, Plan
from policy_engine.cli.gateway_probes import FAILURES
from policy_engine.cli.gateway_stand_in import standing_in
from policy_engine.domain.gateways import Profile
from tests.gateways.programs import free_port
from tests.gateways.proxies import PROXIES, documented, started
from tests.gateways.seeds import PLAIN, SEEDS, Seed

SECONDS: Final = 40.0


@contextmanager
def _served(seed: Seed, folder: Path, ports: tuple[int, int]) -> Iterator[str]:
    port = free_port()
    at = {"127.0.0.1:8080": port, "127.0.0.1:8181": ports[0], "127.0.0.1:9000": ports[1]}
    with started(seed.command, seed.files, folder, at):
        yield f"http://127.0.0.1:{port}"


def counted(url: str, profile: Profile, plan: Plan, ports: tuple[int, int], rounds: int) -> dict[str, int]:
    """How often a request got through, by how the engine failed."""
    engine, models = (("127.0.0.1", port) for port in ports)
    with standing_in(profile, plan.allowed, engine=engine, upstream=models) as servers:
        bench = Bench(Client(urlsplit(url), seconds=SECONDS, trusted=None), *servers, plan)
        while not bench.attempt(bench.ask(plan.allowed)).reached:
            pass
        return {
            name: sum(bool(bench.attempt(bench.ask(plan.allowed), conduct).reached) for _ in range(rounds))
            for name, conduct in FAILURES.items()
        }


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for proxy in PROXIES.values():
            ports = (free_port(), free_port())
            plan = _plan(proxy.path, proxy.login("carol"))
            with documented(proxy, folder / proxy.name, engine=ports[0], models=ports[1]) as url:
                rows[f"**[{proxy.name}]({proxy.name}.md)**"] = counted(url, proxy.profile, plan, ports, rounds)
        for number, (title, seed) in enumerate({**PLAIN, **{one: SEEDS[one] for one in _TRAPS}}.items()):
            ports = (free_port(), free_port())
            with _served(seed, folder / str(number), ports) as url:
                rows[title] = counted(url, seed.read_profile, _plan(seed.path, "Bearer sk-carol"), ports, rounds)
    out = sys.stdout
    out.write(f"| configuration | got through, of {rounds * len(FAILURES)} | while |\n|---|---|---|\n")
    for title, counts in rows.items():
        through = ", ".join(f"{one} ({count})" for one, count in counts.items() if count)
        out.write(f"| {title} | {sum(counts.values())} | {through} |\n")


_TRAPS: Final = (
    "nginx: an error page that forwards",
    "Caddy: an error handler that forwards",
    "HAProxy: denied is what was denied",
)


def _plan(path: str, login: str) -> Plan:
    return Plan(
        method="POST", paths=(path,), headers=(("authorization", login),), allowed="opus-4.6", denied="mythos-5"
    )


if __name__ == "__main__":
    main()
