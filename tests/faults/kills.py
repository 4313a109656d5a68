"""Services that are killed under load again and again, and what was left each time."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.faults.landing import Landing, is_gone, landing_on_postgres, landing_on_sqlite
from tests.faults.load import Journal, Load, journals
from tests.faults.oracle import recorded_keys
from tests.faults.process import Installation, Server, start

CLIENTS: Final = 4
"""Clients of each service."""


@dataclass(slots=True, kw_only=True)
class Victim:
    """A service that is to be killed, its clients, and where it was found when it was."""

    server: Server
    journals: list[Journal]
    name: str
    load: Load | None = None
    found: Landing = Landing.OUTSIDE

    def kill(self) -> None:
        """Stop it, look, and kill it before it can go on."""
        self.server.send(signal.SIGSTOP)
        try:
            self.found = self._look()
        finally:
            self.server.kill()

    def _look(self) -> Landing:
        if self.server.installation.url.startswith("sqlite"):
            return landing_on_sqlite(self.server.installation.database, self.server.pid)
        return landing_on_postgres(self.server.installation.url, self.name)

    def outstanding(self) -> list[str]:
        return [key for journal in self.journals for key in journal.unanswered]


@dataclass(slots=True, kw_only=True)
class Killing:
    """A series of kills of one installation: two services at once on one database, each killed at its own moment."""

    installation: Installation
    seed: int
    services: int = 2
    landings: Counter[Landing] = field(default_factory=Counter)
    starts: list[float] = field(default_factory=list)
    in_flight: int = 0
    """Requests that were not answered, over all kills."""
    orphans: int = 0
    """Of these, the ones that were on record."""
    journals: list[Journal] = field(init=False)

    def __post_init__(self) -> None:
        self.journals = journals(self.installation.folder, CLIENTS * self.services)

    @property
    def _on_sqlite(self) -> bool:
        return self.installation.url.startswith("sqlite")

    def start(self, number: int) -> Victim:
        """Start a service, which is not ready yet."""
        name = f"victim-{number}"
        # PostgreSQL's own variable: the name under which the connections of this process are known.
        server = start(self.installation, environment={"PGAPPNAME": name})
        share = self.journals[number * CLIENTS : (number + 1) * CLIENTS]
        return Victim(server=server, journals=share, name=name)

    def cycle(self, number: int) -> None:
        """Start all, put them under load, and kill each at a moment of its own."""
        random = Random(f"{self.seed}/{number}")
        victims = [self.start(one) for one in range(self.services)]
        try:
            self._begin(victims, number)
            for victim, moment in sorted(
                ((victim, random.uniform(0.15, 0.6)) for victim in victims), key=lambda pair: pair[1]
            ):
                time.sleep(moment / self.services)
                victim.kill()
        finally:
            for victim in victims:
                if victim.server.process.poll() is None:
                    victim.server.kill()
        self._settle(victims)

    def placed(self, place: Callable[[Victim], None]) -> Victim:
        """Start one, put it under load, and kill it where `place` has brought it to a stand."""
        victim = self.start(0)
        try:
            self._begin([victim], 0)
            time.sleep(0.1)
            place(victim)
        finally:
            if victim.server.process.poll() is None:
                victim.server.kill()
        return victim

    def settle(self, victim: Victim) -> None:
        """Count what a placed kill has left, once nothing holds the database any more."""
        self._settle([victim])

    def _begin(self, victims: list[Victim], number: int) -> None:
        self.starts += [victim.server.wait() for victim in victims]
        for victim in victims:
            victim.load = Load(victim.server, victim.journals, seed=self.seed + number)

    def _settle(self, victims: list[Victim]) -> None:
        for victim in victims:
            assert victim.load is not None
            victim.load.join()
            while not (self._on_sqlite or is_gone(self.installation.url, victim.name)):
                time.sleep(0.01)
        recorded = recorded_keys(self.installation.url)
        for victim in victims:
            outstanding = victim.outstanding()
            committed = sum(key in recorded for key in outstanding)
            self.in_flight += len(outstanding)
            self.orphans += committed
            self.landings[Landing.BEFORE_ANSWER if committed else victim.found] += 1
        assert [one for journal in self.journals for one in journal.surprises] == []
        assert [status for journal in self.journals for status in journal.statuses] == []
