"""The cursors of webhooks, on both databases: who holds a receiver, and who moves it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policy_engine.domain.ports import LogUnavailable
from policy_engine.domain.webhooks import Cursor, Disabled
from policy_engine.store.webhook_cursors import WebhookCursors
from tests.store.conftest import Store
from tests.store.samples import AT

HELD = AT + timedelta(seconds=5)


def test_of_two_holders_one_moves_a_cursor_until_its_hold_is_over(store: Store) -> None:
    one, two = WebhookCursors(store.open()), WebhookCursors(store.open())
    one.begin(["a", "b"], 7)
    two.begin(["b", "c"], 9)
    assert [(cursor.name, cursor.told) for cursor in one.all()] == [("a", 7), ("b", 7), ("c", 9)]

    assert [cursor.name for cursor in one.claim(["a", "b"], "one", at=AT, until=HELD)] == ["a", "b"]
    assert [cursor.name for cursor in two.claim(["b", "c"], "two", at=AT, until=HELD)] == ["c"]
    assert one.move("b", "one", told=8)
    assert not two.move("b", "two", told=9)
    assert [cursor.name for cursor in two.claim(["b"], "two", at=HELD, until=HELD)] == []

    later = HELD + timedelta(microseconds=1)
    assert two.claim(["b"], "two", at=later, until=later) == (Cursor(name="b", told=8),)
    assert not one.move("b", "one", told=9)
    assert not one.fail("b", "one", since=later)
    assert not one.disable("b", "one", at=later, why=Disabled.GONE)


def test_what_a_holder_lets_go_is_anybodys_at_once(store: Store) -> None:
    cursors = WebhookCursors(store.open())
    cursors.begin(["a"], -1)
    cursors.claim(["a"], "one", at=AT, until=HELD)
    cursors.release("one")
    assert cursors.claim(["a"], "two", at=AT, until=HELD) == (Cursor(name="a", told=-1),)


def test_a_receiver_that_fails_and_is_disabled_says_since_when_and_why_until_it_is_enabled(store: Store) -> None:
    cursors = WebhookCursors(store.open())
    cursors.begin(["a"], 3)
    cursors.claim(["a"], "one", at=AT, until=HELD)
    assert cursors.fail("a", "one", since=AT)
    assert cursors.disable("a", "one", at=HELD, why=Disabled.FAILING)
    failing = Cursor(name="a", told=3, failing_since=AT, disabled_at=HELD, disabled=Disabled.FAILING)
    assert cursors.all() == (failing,)
    assert cursors.enable("a")
    assert not cursors.enable("a")
    assert not cursors.enable("unknown")
    assert cursors.all() == (Cursor(name="a", told=3),)


def test_a_database_that_cannot_be_used_is_said(empty_store: Store) -> None:
    with pytest.raises(LogUnavailable):
        WebhookCursors(empty_store.open()).all()
