"""What a listener at `GET /watch` learns when the log, a change or the reader fails: never that nothing ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from policy_engine.app.builder import Parts, build
from policy_engine.asgi import create_app
from policy_engine.domain.ports import LogUnavailable, MembersUnavailable
from policy_engine.service.gate import listeners
from policy_engine.service.gate.endings import Endings, Reading
from policy_engine.service.gate.snapshot import StandingView
from policy_engine.store.change_list import ChangeList, LoggedChange
from policy_engine.store.database import open_database
from tests.api.service import copied
from tests.faults.process import Installation, installed
from tests.gateways.listening import Event, Listener
from tests.gateways.served import at_a_port
from tests.gateways.test_watch import confirmed, record, suspended


@pytest.fixture(scope="module")
def installation(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("listeners")
    return installed(copied(migrated, folder), folder, person="dora")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "SILENT_SECONDS", 2.5)
    monkeypatch.setattr(listeners, "ALIVE_SECONDS", 0.5)
    monkeypatch.setattr(listeners, "LOOK_SECONDS", 0.05)


@pytest.fixture
def served(installation: Installation) -> Iterator[tuple[Parts, int]]:
    """A service, and its port."""
    parts = build(installation.settings)
    with at_a_port(create_app(parts)) as address:
        yield parts, int(address.rpartition(":")[2])
    parts.close()


@contextmanager
def listening(port: int, installation: Installation, last: str | None = None) -> Iterator[tuple[Listener, Event]]:
    listener = Listener(port, installation.token, last)
    begun = listener.next()
    assert begun is not None
    yield listener, begun
    listener.close()


def require_told(party: str, last: str, port: int, installation: Installation) -> None:
    """A reader that comes back as often as it is cut off is told about the party at last."""
    while True:
        with listening(port, installation, last) as (listener, _):
            while (event := listener.next()) is not None:
                last = event.id
                if event.data.get("subjects") == [f"organisation:{party}"]:
                    return


@pytest.mark.parametrize(
    ("error", "from_the_log"), [(LogUnavailable("away"), False), (MembersUnavailable("away"), True)]
)
def test_a_log_that_cannot_be_read_gives_no_sign_of_life_and_ends_the_stream_and_who_comes_back_misses_nothing(
    *,
    installation: Installation,
    served: tuple[Parts, int],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    from_the_log: bool,
) -> None:
    _, port = served

    def away(*_: object) -> None:
        raise error

    last = "0" if from_the_log else None
    with monkeypatch.context() as broken:
        broken.setattr(Endings, "after", away)
        with listening(port, installation, last) as (listener, begun):
            assert listener.next() is None
            assert listener.comments == 0
        record(installation, confirmed("while-it-is-away"))
    require_told("while-it-is-away", begun.id, port, installation)


def test_a_log_that_is_away_for_a_moment_loses_no_event(
    installation: Installation, served: tuple[Parts, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, port = served
    real, failures = Endings.after, iter([LogUnavailable("away")] * 4)

    def away_for_a_moment(self: Endings, index: int) -> object:
        for error in failures:
            raise error
        return real(self, index)

    with listening(port, installation) as (listener, _):
        monkeypatch.setattr(Endings, "after", away_for_a_moment)
        record(installation, confirmed("in-that-moment"))
        told = listener.next()
    assert told is not None
    assert told.data["subjects"] == ["organisation:in-that-moment"]


def test_a_log_that_cannot_be_read_at_first_is_503_and_leaves_nobody_listening(
    installation: Installation, served: tuple[Parts, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, port = served

    def away(*_: object) -> None:
        raise LogUnavailable("away")

    monkeypatch.setattr(ChangeList, "last", away)
    listener = Listener(port, installation.token)
    assert listener.response.status == HTTPStatus.SERVICE_UNAVAILABLE
    listener.close()
    assert parts.listeners.count == 0


def test_a_reader_that_ends_by_an_error_that_nobody_foresaw_ends_the_streams_and_the_next_listener_has_it_read_anew(
    installation: Installation, served: tuple[Parts, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, port = served
    said: list[str] = []
    monkeypatch.setattr(parts.listeners, "_report", said.append)
    with monkeypatch.context() as broken:
        broken.setattr(Endings, "after", lambda *_: 1 / 0)
        with listening(port, installation) as (listener, begun):
            assert listener.next() is None
    assert said == ["ZeroDivisionError"]
    record(installation, confirmed("after-the-error"))
    require_told("after-the-error", begun.id, port, installation)


def test_a_listener_that_is_further_behind_than_what_is_kept_is_told_from_the_log(
    installation: Installation, served: tuple[Parts, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, port = served
    monkeypatch.setattr(listeners, "_KEPT", 2)
    with listening(port, installation) as (listener, _):
        with monkeypatch.context() as slow:
            # Nothing is read until all are there, so that they are more than are kept.
            slow.setattr(Endings, "after", lambda _, index: Reading(told=(), up_to=index, more=False))
            for number in range(6):
                record(installation, confirmed(f"kept-{number}"))
        told = [listener.next() for _ in range(6)]
    assert [one.data["subjects"] for one in told if one] == [[f"organisation:kept-{number}"] for number in range(6)]
    assert len(parts.listeners._recent) <= 2


class _Damaged(ChangeList):
    """The changes, whose bytes or whose rows cannot be read."""

    rows: bytes | None = None
    body: bytes | None = None

    def after(self, *args: Any, **kwargs: Any) -> tuple[LoggedChange, ...]:
        found = super().after(*args, **kwargs)
        return found if self.body is None else tuple(replace(one, body=self.body) for one in found)

    def content(self, _digest: str) -> bytes | None:
        return self.rows


@pytest.mark.parametrize(("body", "rows"), [(b"{", None), (None, None), (None, b"no rows")])
def test_a_change_or_rows_that_cannot_be_read_may_have_ended_anything_for_anybody(
    installation: Installation, served: tuple[Parts, int], body: bytes | None, rows: bytes | None
) -> None:
    view: StandingView = served[0].gate.view
    engine = open_database(installation.url)
    damaged = _Damaged(engine)
    damaged.body, damaged.rows = body, rows
    before = damaged.last()
    record(installation, suspended("weser-ag"))
    (told,) = Endings(damaged, view).after(before).told
    engine.dispose()
    document = json.loads(told.document)
    assert (document["everybody"], document["every_model"]) == (True, True)
    assert {"membership", "listing", "authorisation", "facts"} <= set(document["causes"])
