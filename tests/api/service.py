"""A service for a test: a real application over a real database, with a clock and ids that the test holds."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from policy_engine.app.builder import Parts, build
from policy_engine.app.settings import Settings
from policy_engine.asgi import create_app
from policy_engine.domain.changes import BookFounded
from policy_engine.domain.freezes import Freeze
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.ports import NewEvent
from policy_engine.domain.roster import RosterRows
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import frozen
from policy_engine.service.administration.publish import FOUNDER
from policy_engine.service.gate.keyring import RIGHTS
from policy_engine.service.gate.snapshot import Judges
from policy_engine.store.database import open_database
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.members import Members
from tests.conftest import POLICIES, ROOT, judge_for

NOBODY = RosterRows()
NOON = parse_instant("2026-11-20T12:00:00Z")


@dataclass(frozen=True, slots=True)
class GivenJudge:
    """Judges by a book that the test made, whatever is archived."""

    given: Judge

    def judge(self, _fingerprint: str, _archive: str, freezes: tuple[Freeze, ...] = ()) -> Judge:
        return frozen(self.given, freezes)


def found_test_book(url: str) -> None:
    """A book in force since long ago; which one, the judges that a test gives know."""
    engine = open_database(url)
    log = DeskLog(engine)
    standing = log.standing(held_revision=0, after_index=-1)
    if not standing.changes:
        event = BookFounded(fingerprint="sha256:test", archive="sha256:test")
        entry = NewEvent(id="founding", at=parse_instant("2000-01-01"), actor=FOUNDER, event=event)
        log.record([entry], under=standing.epoch)
    engine.dispose()


@dataclass(slots=True, kw_only=True)
class Service:
    """The client, the parts behind it, and the hands of its clock."""

    client: TestClient
    parts: Parts
    now: list[datetime]
    url: str = ""

    def key(
        self,
        *rights: str,
        gateway: str | None = "main",
        person: str | None = None,
        assertable: frozenset[str] = frozenset(),
        feed: tuple[str, ...] = (),
    ) -> dict[str, str]:
        """Headers of a fresh key; without rights, one that has them all. It is bound to a person if one is named."""
        made = self.parts.ring.create(
            name="test",
            rights=rights or RIGHTS,
            at=self.now[0],
            random_hex=secrets.token_hex,
            gateway=gateway,
            person=person,
            assertable=assertable,
            feed=feed,
        )
        self.parts.gate.view.refresh()
        return {"Authorization": f"Bearer {made.token}"}

    def decide(self, document: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
        """POST /decide."""
        return self.client.post("/decide", json=document, headers=headers or self.key())


@contextmanager
def serving(
    url: str,
    rows: RosterRows = NOBODY,
    *,
    judge: Judge | None = None,
    at: datetime = NOON,
    recorded: datetime | None = None,
    judges: Judges | None = None,
    published: bool = False,
    new_id: Callable[[datetime], str] | None = None,
    policies: Path = POLICIES,
    gateways: Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Service]:
    """A service on a database that is at the newest schema, with these members on file.

    It decides by a book of the test's own; if `published`, by what is in force in the database, at first the book in
    `policies`. Ids are counted, unless the test says how they are made. `settings` are further ones.
    """
    founded = None
    if not published:
        _fill(url, rows, recorded or at)
        judges = judges or GivenJudge(judge or judge_for({}, None))
    elif judges is None and new_id is None and policies.is_relative_to(ROOT):
        founded = _publish(url, rows, at, recorded or at, policies)
    now = [at]
    counter = itertools.count(founded or 0)
    parts = build(
        Settings(
            database_url=url,
            policies=policies,
            gateways=gateways,
            public_url="https://pdp.example.com",
            **(settings or {}),
        ),
        clock=lambda: now[0],
        new_id=new_id or counted(counter),
        judges=judges,
    )
    if published and founded is None and rows != NOBODY:
        parts.members.record(rows, actor="test", reason="test", at=recorded or at)
        parts.gate.view.refresh()
    with TestClient(create_app(parts), raise_server_exceptions=False) as client:
        yield Service(client=client, parts=parts, now=now, url=url)


def counted(counter: Iterator[int]) -> Callable[[datetime], str]:
    """Ids by their number."""
    return lambda _: f"01TEST{next(counter):020d}"


def copied(migrated: Path, folder: Path) -> str:
    """A database of the test's own."""
    path = folder / "service.db"
    path.write_bytes(_empty(migrated))
    return f"sqlite:///{path}"


@cache
def _empty(migrated: Path) -> bytes:
    _empties.add(migrated.read_bytes())
    return migrated.read_bytes()


_empties: set[bytes] = set()


_published: dict[tuple[bytes, RosterRows, datetime, datetime, Path], tuple[bytes, int]] = {}
"""What became of an empty file that was founded with a book of this checkout, and how many ids that took."""


def _publish(url: str, rows: RosterRows, at: datetime, recorded: datetime, policies: Path) -> int | None:
    """Found an empty file with the book of a folder and record the members, or copy the file in which that was done
    before: how many ids it took, `None` for a database with something in it, of which nothing is made."""
    path = Path(url.removeprefix("sqlite:///"))
    empty = path.read_bytes() if path.is_file() and not path.with_name(f"{path.name}-wal").exists() else b""
    if empty not in _empties:
        return None
    key = (empty, rows, at, recorded, policies)
    if key not in _published:
        counter = itertools.count()
        parts = build(Settings(database_url=url, policies=policies), clock=lambda: at, new_id=counted(counter))
        if rows != NOBODY:
            parts.members.record(rows, actor="test", reason="test", at=recorded)
        parts.close()
        while len(_published) >= _KEPT:
            del _published[next(iter(_published))]
        _published[key] = path.read_bytes(), next(counter)
    content, used = _published[key]
    path.write_bytes(content)
    return used


_filled: dict[tuple[bytes, RosterRows, datetime], bytes] = {}
"""What became of an empty file, of the last few: most tests of a module begin with the same members."""
_KEPT = 4


def _fill(url: str, rows: RosterRows, recorded: datetime) -> None:
    """Found the book of a test and record its members, or copy the file in which that was done before."""
    path = Path(url.removeprefix("sqlite:///"))
    key = (path.read_bytes(), rows, recorded) if path.is_file() else None
    if key in _filled:
        path.write_bytes(_filled[key])
        return
    found_test_book(url)
    if rows != NOBODY:
        engine = open_database(url)
        Members(engine).record(rows, actor="test", reason="test", at=recorded)
        engine.dispose()
    if key is not None and not path.with_name(f"{path.name}-wal").exists():
        while len(_filled) >= _KEPT:
            del _filled[next(iter(_filled))]
        _filled[key] = path.read_bytes()


def known_by(rows: RosterRows, instant: datetime) -> RosterRows:
    """The rows that were recorded by an instant."""
    kept = {
        column.name: tuple(
            row for row in getattr(rows, column.name) if row.recorded_at is None or row.recorded_at <= instant
        )
        for column in fields(rows)
    }
    return replace(rows, **kept)
