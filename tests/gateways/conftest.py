"""A service with gateways' profiles, the demonstration roster, and a key for each gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from policy_engine.formats.membership_file import read_members
from tests.api.service import Service, copied, serving
from tests.conftest import POLICIES
from tests.store.conftest import postgres

__all__ = ["postgres"]

PROFILES = Path(__file__).parent / "profiles.yaml"
ROSTER = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    """The demonstration roster and the profiles of the tests."""
    with demonstration(copied(migrated, tmp_path)) as running:
        yield running


@contextmanager
def demonstration(url: str) -> Iterator[Service]:
    """A service on a database that is at the newest schema, with the demonstration roster and these profiles."""
    with serving(url, ROSTER, published=True, gateways=PROFILES) as running:
        yield running


@pytest.fixture
def headers(service: Service) -> dict[str, str]:
    """The head of a gateway whose profile reads headers: its key, and carol from the United States."""
    return {**keyed(service, "headers"), "x-user-id": "carol", "x-geo-country": "US"}


def keyed(service: Service, gateway: str) -> dict[str, str]:
    """The head that a gateway authenticates by at a door where `Authorization` is its client's."""
    made = service.key("decide", gateway=gateway)
    return {"X-Policy-Engine-Key": made["Authorization"].removeprefix("Bearer ")}
