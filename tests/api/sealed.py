"""A service with a sealed log for tests, whose clock and sealer the test holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fastapi.testclient import TestClient

from policy_engine.app.builder import DecisionIds, Parts
from policy_engine.asgi import create_app
from policy_engine.service.sealing.sealed_log import Sealing, SealKeeper
from tests.api.service import NOON, Service, copied, serving
from tests.conftest import POLICIES
from tests.service.decisions import DEMO

SEED: Final = b"\x07" * 32
ORIGIN: Final = "pdp.example/log"
ALLOWED: Final[dict[str, Any]] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a key."""

    service: Service
    headers: dict[str, str]

    def get(self, path: str, **query: str) -> Any:
        return self.service.client.get(path, headers=self.headers, params=query)

    def post(self, path: str, **body: Any) -> Any:
        return self.service.client.post(path, headers=self.headers, json=body)

    def delete(self, path: str, **body: Any) -> Any:
        return self.service.client.request("DELETE", path, headers=self.headers, json=body)

    def decide(self, **changes: Any) -> Any:
        """The answer to the request that a member may make, with changes."""
        response = self.service.decide({**ALLOWED, **changes}, self.headers)
        assert response.status_code == 200, response.text
        return response.json()


@dataclass(slots=True, kw_only=True)
class Sealed:
    """A service with the demonstration roster, an officer, and the sealing of its log."""

    service: Service
    sealing: Sealing
    folder: Path
    url: str
    officer: Person

    @property
    def parts(self) -> Parts:
        return self.service.parts

    def at(self, instant: datetime) -> None:
        """Move the clock."""
        self.service.now[0] = instant

    def person(self, person: str | None, *rights: str) -> Person:
        """Somebody with a fresh key; without rights, one that has them all."""
        return Person(service=self.service, headers=self.service.key(*rights, person=person))

    def decide(self, **changes: Any) -> str:
        """The id of a decision for the officer's key."""
        return str(self.officer.decide(**changes)["decision_id"])

    def seal(self) -> int:
        """Seal what is committed; how many entries there are."""
        sealed = self.sealing.seal()
        assert sealed is not None
        return sealed.end


@contextmanager
def sealed_service(migrated: Path, folder: Path, *, at: datetime = NOON, policies: Path = POLICIES) -> Iterator[Sealed]:
    """A service whose log is sealed when the test says so."""
    url = copied(migrated, folder)
    with serving(url, DEMO, at=at, published=True, policies=policies, new_id=DecisionIds()) as service:
        sealing = Sealing(
            entries=service.parts.entries,
            folder=folder / "ledger",
            witnesses=folder / "witness",
            origin=ORIGIN,
            seed=SEED,
        )
        keeper = SealKeeper(sealing, report=lambda _: None)
        app = create_app(replace(service.parts, keeper=keeper))
        # Not entered: the parts are closed by the service that they were built for.
        of_the_log = replace(service, client=TestClient(app, raise_server_exceptions=False))
        officer = Person(service=of_the_log, headers=of_the_log.key(person="dora"))
        yield Sealed(service=of_the_log, sealing=sealing, folder=folder, url=url, officer=officer)
