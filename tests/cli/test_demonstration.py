"""The demonstration: what a second start keeps, which keys end, and a month of decisions to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_engine.app.clock import system_clock
from policy_engine.app.settings import Settings
from policy_engine.app.stores import open_keyring, open_members
from policy_engine.cli.demonstration import set_up
from policy_engine.formats.book_names import BookNames
from policy_engine.service.administration.roster import import_members
from policy_engine.service.gate.keyring import KeyRing, key_of
from tests.cli.test_cli import Shell, shell  # noqa: F401  a fixture
from tests.conftest import POLICIES


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{tmp_path / 'demo.db'}", policies=POLICIES)


def in_force(ring: KeyRing) -> set[str]:
    return {key.name for key in ring.all() if key.revoked_at is None}


def test_a_second_start_keeps_the_members_as_the_user_left_them(settings: Settings) -> None:
    assert set_up(settings).imported
    retitled = b"organisations: [{id: harbor-cyber, headquarters: DE}]"
    with open_members(settings) as members:
        import_members(members, retitled, "mine.yaml", names=BookNames(), actor="me", reason="mine", at=system_clock())

    again = set_up(settings)

    with open_members(settings) as members:
        latest = [row for row in members.snapshot().rows.organisations if row.id == "harbor-cyber"][-1]
    assert (again.imported, again.revision, latest.headquarters) == (False, 2, "DE")


def test_a_second_start_ends_the_keys_of_the_first_and_no_other(settings: Settings) -> None:
    first = set_up(settings)
    with open_keyring(settings) as ring:
        ring.create(name="mine", rights=["decide"], at=system_clock(), random_hex=lambda size: "0" * (2 * size))

    second = set_up(settings)

    with open_keyring(settings) as ring:
        ring.refresh()
        assert second.ended == len(first.tokens)
        assert [key_of(token, ring.current()) for token in first.tokens.values()] == [None] * len(first.tokens)
        assert None not in [key_of(token, ring.current()) for token in second.tokens.values()]
        assert "mine" in in_force(ring)


def test_a_month_of_decisions_is_recorded_as_every_other_and_can_be_searched(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{tmp_path / 'month.db'}")
    monkeypatch.setattr("policy_engine.cli.seeded.DAYS", 2)

    told = shell("demo", "--seed", "--json")

    assert told.code == 0
    assert told.json["allowed"] > 0
    assert sum(told.json["denied"].values()) + told.json["allowed"] == 2 * 12 * 5
    found = shell("log", "query", "--decision", "allow", "--limit", "1000", "--json").json
    assert len(found["decisions"]) == told.json["allowed"]


def test_a_month_of_decisions_is_not_mixed_with_what_is_on_record(
    shell: Shell,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:
    set_up(settings)
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", settings.database_url)

    told = shell("demo", "--seed")

    assert (told.code, told.out) == (1, "")
    assert "goes into an empty one" in told.err
