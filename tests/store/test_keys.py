from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import create_engine

from policy_engine.domain.ports import Key, MembersUnavailable
from policy_engine.store.keys import Keys
from policy_engine.store.members import Members
from tests.store.conftest import Store
from tests.store.samples import AT

KEY = Key(
    id="k-1",
    name="the main gateway",
    secret_hash="5e884898",
    rights=frozenset({"decide", "decisions:explain"}),
    gateway="main",
    person=None,
    assertable=frozenset(),
    created_at=AT,
    revoked_at=None,
)


def test_a_key_is_read_back_as_it_was_put_on_file(store: Store) -> None:
    keys = Keys(store.open())
    bound = Key(
        id="k-0",
        name="officer",
        secret_hash="0",
        rights=frozenset(),
        gateway=None,
        person="alice",
        assertable=frozenset({"us_status", "place"}),
        created_at=AT - timedelta(days=1),
        revoked_at=AT,
    )

    keys.add(KEY)
    keys.add(bound)

    assert keys.all() == (bound, KEY)


@pytest.mark.parametrize("other", [{"secret_hash": "another"}, {"id": "another"}])
def test_neither_the_id_nor_the_secret_of_a_key_is_taken_twice(store: Store, other: dict[str, str]) -> None:
    keys = Keys(store.open())
    keys.add(KEY)

    with pytest.raises(ValueError, match="on file already"):
        keys.add(replace(KEY, **other))  # type: ignore[arg-type]

    assert keys.all() == (KEY,)


def test_a_key_is_revoked_once_and_keeps_its_first_instant(store: Store) -> None:
    keys = Keys(store.open())
    keys.add(KEY)

    assert keys.revoke("k-1", AT) is True
    assert keys.revoke("k-1", AT + timedelta(hours=1)) is False
    assert keys.revoke("no-such-key", AT) is False

    assert keys.all() == (replace(KEY, revoked_at=AT),)


def test_a_change_of_the_keys_moves_the_epoch_and_what_changes_nothing_does_not(store: Store) -> None:
    engine = store.open()
    keys, members = Keys(engine), Members(engine)

    epochs = [members.control().epoch]
    keys.add(KEY)
    epochs.append(members.control().epoch)
    keys.revoke("k-1", AT)
    epochs.append(members.control().epoch)
    keys.revoke("k-1", AT)
    keys.revoke("no-such-key", AT)
    epochs.append(members.control().epoch)

    assert epochs == [0, 1, 2, 2]
    assert members.control().revision == 0


def test_of_two_who_revoke_a_key_at_once_one_does(store: Store) -> None:
    Keys(store.open()).add(KEY)
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda keys: answers.append(keys.revoke("k-1", AT)), args=(Keys(store.open()),))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [False, True]


def test_keys_out_of_reach_are_unavailable_and_not_none() -> None:
    keys = Keys(create_engine("sqlite:////nowhere/at/all.db"))

    for call in (keys.all, lambda: keys.add(KEY), lambda: keys.revoke("k-1", AT)):
        with pytest.raises(MembersUnavailable):
            call()
