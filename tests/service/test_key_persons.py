"""A key is bound to one person by one spelling, so that nobody is two; and says when its gateway is a new one."""

from __future__ import annotations

import secrets

import pytest

from policy_engine.domain.changes import Actor
from policy_engine.domain.roster import PersonEntry, RosterRows
from policy_engine.domain.spelling import PLAIN_ID, skeleton
from policy_engine.service.administration.desk import person_of
from policy_engine.service.administration.desk_faults import PersonNeeded
from policy_engine.service.gate.keyring import KeyFault, KeyRing, KeysAlone, NewKey
from policy_engine.store.keys import Keys
from policy_engine.store.members import Members
from tests.store.conftest import Store
from tests.store.samples import AT

ALIKE = [
    "dora ",
    " dora",
    "Dora",
    "DORA",
    "d\u043era",
    "dor\u0430",
    "\u0501ora",
    "\uff44ora",
    "dor\u00e1",
    "d\u200bora",
    "d\u03bfra",
]
"""Spellings that somebody could take for `dora`: blanks, case, Cyrillic, Greek, full-width, accents, invisible."""


@pytest.fixture
def ring(store: Store) -> KeyRing:
    engine = store.open()
    members = Members(engine)
    people = (PersonEntry(id="carol"), PersonEntry(id="Zo\u00eb Q"))
    members.record(RosterRows(people=people), actor="test", reason="test", at=AT)
    keys = Keys(engine)
    return KeyRing(keys, KeysAlone(keys), members.people)


def made(ring: KeyRing, person: str | None = None, gateway: str | None = None) -> NewKey:
    return ring.create(
        name="a key", rights=["freeze"], at=AT, random_hex=secrets.token_hex, person=person, gateway=gateway
    )


@pytest.mark.parametrize("spelling", ALIKE)
def test_a_spelling_that_can_be_taken_for_a_person_with_a_key_is_refused(ring: KeyRing, spelling: str) -> None:
    made(ring, "dora")
    with pytest.raises(KeyFault, match="dora"):
        made(ring, spelling)
    assert [key.person for key in ring.all()] == ["dora"]


@pytest.mark.parametrize("spelling", ["Carol", "carol ", "c\u0430rol", "zo\u00eb q", "zoeq"])
def test_a_spelling_that_can_be_taken_for_a_person_on_file_is_refused(ring: KeyRing, spelling: str) -> None:
    with pytest.raises(KeyFault, match="on file"):
        made(ring, spelling)
    assert ring.all() == ()


@pytest.mark.parametrize("person", ["", " ", "\u200b", "dora/egon", "-dora", "d" * 65, "dora\n", "\u4e2d"])
def test_what_is_no_id_is_no_person(ring: KeyRing, person: str) -> None:
    with pytest.raises(KeyFault, match="not a person on file"):
        made(ring, person)
    assert ring.all() == ()


def test_who_is_on_file_has_the_key_by_that_very_id_and_others_by_a_plain_one(ring: KeyRing) -> None:
    for person in ("carol", "Zo\u00eb Q", "dora", "egon.2", "dora"):
        assert made(ring, person).key.person == person


@pytest.mark.parametrize("spelling", ALIKE)
def test_keys_of_before_whose_persons_look_alike_are_one_person(spelling: str) -> None:
    assert person_of(Actor(key="one", person=spelling)) == person_of(Actor(key="two", person="dora"))


@pytest.mark.parametrize("person", [None, "", " ", "\u200b"])
def test_a_key_of_nobody_does_nothing_that_needs_a_person(person: str | None) -> None:
    with pytest.raises(PersonNeeded):
        person_of(Actor(key="one", person=person))


def test_plain_ids_are_their_own_skeletons_and_different_ones_stay_different() -> None:
    for name in ("dora", "egon.2", "a-b_c", "0x"):
        assert PLAIN_ID.fullmatch(name)
        assert skeleton(name) == name


def test_the_first_key_of_another_gateway_says_so_with_a_near_miss(ring: KeyRing) -> None:
    assert made(ring, gateway="main").notices == ()
    assert made(ring, gateway="main").notices == ()
    (notice,) = made(ring, gateway="mian").notices
    assert "no other key is of the gateway `mian`" in notice
    assert "did you mean `main`?" in notice


@pytest.mark.parametrize("gateway", ["", " main", "main ", "ma\tin", "m\u0430in"])
def test_a_gateway_by_no_id_is_refused(ring: KeyRing, gateway: str) -> None:
    with pytest.raises(KeyFault, match="gateway"):
        made(ring, gateway=gateway)
