"""Which grants a recorded change may have ended: what a gateway that holds an allow has to ask for again. Pure.

An ending names no fact, only whom and which models it may be about. It errs to one side: what it does not name was not
ended by the change, and what it names is found out by asking again. Where that cannot be told in few names it is about
everybody, or about every model.

- A book that comes into force is about everybody. A freeze is about its models and its organisations.
- Rows of the members are about the parties in them, about what these own, directly or through others, about everybody
  who works for one of those, and about the accounts of all of them.
- Nothing is told of what can only widen: a freeze that is lifted, a membership that begins, a listing that is cleared.
- An end that lies ahead is not told when it comes: an answer says itself until when it counts (`valid_until`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from policy_engine.domain.catalogue import Entry
from policy_engine.domain.changes import BookApproved, BookWatched, Change, FreezeDeclared, MembersRecorded
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Account,
    Authorisation,
    Citizenship,
    ClusterReading,
    Consortium,
    Draw,
    Employment,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    Organisation,
    PermanentResidency,
    PersonEntry,
    Recorded,
    Roster,
    Stake,
    Statement,
    UsStatus,
)
from policy_engine.domain.rules import Row

ENDING_KINDS: Final = ("book.watched", "book.approved", "freeze.declared", "members.recorded")
"""The kinds of change that may end a grant."""

MOST_NAMED: Final = 1_000
"""An ending about more subjects than these is about everybody."""

ORGANISATION: Final = "organisation:"


class Cause(StrEnum):
    """What ended: a rule, through another book; a freeze began; what is on file of a membership, of a listing, of an
    authorisation, or any other fact."""

    RULE = "rule"
    FREEZE = "freeze"
    MEMBERSHIP = "membership"
    LISTING = "listing"
    AUTHORISATION = "authorisation"
    FACTS = "facts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a change may have ended, from `start` on. `index` is its number in the log.

    `subjects` are written as in `person:ines`; `None` is everybody. `models` are ids of the catalogue; `None` is every
    model.
    """

    index: int
    change: str
    at: datetime
    start: datetime
    causes: tuple[Cause, ...]
    subjects: tuple[str, ...] | None
    models: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is on file and in force, now and from a later instant on, when an ending is told: whom the parties reach,
    and which models a membership is about. `rules` is `None` where a book cannot be read."""

    roster: Roster
    entries: tuple[Entry, ...]
    rules: tuple[Row, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Touched:
    """What one row is about: the parties, whether what they own is too, and the models; `None` is all of them."""

    cause: Cause
    parties: frozenset[str]
    owned: bool = False
    models: frozenset[str] | None = None


def ending_of(index: int, change: Change, rows: Iterable[Recorded] | None, standing: Standing) -> Ending | None:
    """What a change may have ended; `None` for one that ends nothing. `rows` are those that it recorded, `None` where
    they cannot be read."""
    causes: tuple[Cause, ...]
    start, subjects, models = change.at, None, None
    match change.event:
        case BookWatched():
            causes = (Cause.RULE,)
        case BookApproved():
            causes, start = (Cause.RULE,), change.event.in_force
        case FreezeDeclared():
            scope = change.event.freeze.scope
            causes = (Cause.FREEZE,)
            if scope.organisations:
                parties = frozenset(f"{ORGANISATION}{name}" for name in scope.organisations)
                subjects = _named(reached(standing.roster, parties, owned=False))
            models = scope.models or None
        case MembersRecorded() if rows is None:
            causes = (Cause.MEMBERSHIP, Cause.LISTING, Cause.AUTHORISATION, Cause.FACTS)
        case MembersRecorded():
            touched = [one for row in rows or () if (one := _touched(row, standing)) is not None]
            if not touched:
                return None
            causes = tuple(cause for cause in Cause if any(one.cause is cause for one in touched))
            subjects = _subjects(touched, standing.roster)
            models = _models(touched)
        case _:
            return None
    return Ending(
        index=index, change=change.id, at=change.at, start=start, causes=causes, subjects=subjects, models=models
    )


def unreadable(index: int, change: str, at: datetime) -> Ending:
    """What is told of a change that cannot be read: it may have ended anything."""
    return Ending(index=index, change=change, at=at, start=at, causes=tuple(Cause), subjects=None, models=None)


def _subjects(touched: Iterable[_Touched], roster: Roster) -> tuple[str, ...] | None:
    found: set[str] = set()
    for owned in (False, True):
        parties = frozenset(party for one in touched if one.owned is owned for party in one.parties)
        if parties:
            found |= reached(roster, parties, owned=owned)
    return _named(frozenset(found))


def _named(subjects: frozenset[str]) -> tuple[str, ...] | None:
    return tuple(sorted(subjects)) if len(subjects) <= MOST_NAMED else None


def _models(touched: Iterable[_Touched]) -> tuple[str, ...] | None:
    found: set[str] = set()
    for one in touched:
        if one.models is None:
            return None
        found |= one.models
    return tuple(sorted(found))


def reached(roster: Roster, parties: frozenset[str], *, owned: bool) -> frozenset[str]:
    """The parties, with `owned` whatever they have any share in at any remove, who works for an organisation among
    these, and the accounts of all of them."""
    found = _with_owned(roster, parties) if owned else parties
    working = {
        f"{PERSON_PREFIX}{person.id}"
        for person in roster.people.values()
        if any(f"{ORGANISATION}{row.organisation}" in found for row in person.employments or ())
    }
    found |= working
    accounts = {
        f"{account.kind.value}:{account.id}"
        for account in roster.accounts.values()
        if f"{ORGANISATION}{account.organisation}" in found
        or (account.person is not None and f"{PERSON_PREFIX}{account.person}" in found)
    }
    return found | accounts


def _with_owned(roster: Roster, parties: frozenset[str]) -> frozenset[str]:
    below: dict[str, list[str]] = {}
    for owned, stakes in roster.owners.items():
        for stake in stakes:
            below.setdefault(party_of(stake.owner), []).append(f"{ORGANISATION}{owned}")
    found, left = set(parties), list(parties)
    while left:
        for party in below.get(left.pop(), ()):
            if party not in found:
                found.add(party)
                left.append(party)
    return frozenset(found)


def party_of(name: str) -> str:
    """A party as rows name it, an organisation's id or `person:<id>`, as a subject."""
    return name if name.startswith(PERSON_PREFIX) else f"{ORGANISATION}{name}"


def _touched(row: Recorded, standing: Standing) -> _Touched | None:
    """What a row is about; `None` for one that can end nothing."""
    match row:
        case Membership():
            return _by_membership(row, standing)
        case Listing():
            return _by_listing(row)
        case Authorisation():
            # Of several under an id the one that allows least counts, so that a new one can end what another gave.
            beside = standing.roster.authorisations_by_id.get(row.id, ())
            parties = frozenset(f"{ORGANISATION}{one.holder}" for one in (row, *beside))
            models = frozenset(name for one in (row, *beside) for name in one.models)
            return _Touched(cause=Cause.AUTHORISATION, parties=parties, models=models)
        case Draw():
            beside = standing.roster.authorisations_by_id.get(row.authorisation, ())
            parties = frozenset(f"{ORGANISATION}{one.holder}" for one in beside)
            return _Touched(cause=Cause.AUTHORISATION, parties=parties)
        case Consortium():
            return None
        case _:
            # A rule may read any other fact either way.
            return _Touched(cause=Cause.FACTS, parties=_parties(row, standing.roster), owned=True)


def _by_listing(row: Listing) -> _Touched | None:
    if row.status is ListingStatus.CLEARED and not row.retracted:
        return None
    return _Touched(cause=Cause.LISTING, parties=frozenset({party_of(row.party)}), owned=True)


def _by_membership(row: Membership, standing: Standing) -> _Touched | None:
    if row.status is MembershipStatus.ACTIVE and not row.retracted and row.valid.end is None:
        return None
    return _Touched(
        cause=Cause.MEMBERSHIP,
        parties=frozenset({f"{ORGANISATION}{row.organisation}"}),
        models=_models_of(row.consortium, standing),
    )


def _models_of(consortium: str, standing: Standing) -> frozenset[str] | None:
    """The models that a membership may be about: those of the consortium, where no rule asks for it of another one."""
    if standing.rules is None:
        return None
    for row in standing.rules:
        asks = any(term.parameter == consortium and term.word.startswith("member") for term in row.terms)
        if asks and not _is_about(row, consortium):
            return None
    return frozenset(entry.id for entry in standing.entries if entry.consortium == consortium)


def _is_about(row: Row, consortium: str) -> bool:
    """Whether the row matches no item but those of the consortium."""
    ways = row.facet("item").alternatives
    return bool(ways) and all(
        any(term.word == "consortium" and term.parameter == consortium and not term.negated for term in way)
        for way in ways
    )


_NAMED_BY: Final[Mapping[type[Recorded], tuple[str, str]]] = {
    Organisation: (ORGANISATION, "id"),
    Statement: (ORGANISATION, "organisation"),
    Stake: (ORGANISATION, "owned"),
    PersonEntry: (PERSON_PREFIX, "id"),
    Employment: (PERSON_PREFIX, "person"),
    UsStatus: (PERSON_PREFIX, "person"),
    Citizenship: (PERSON_PREFIX, "person"),
    PermanentResidency: (PERSON_PREFIX, "person"),
}
"""The kind of party that a row is about, and the field that names it."""


def _parties(row: Recorded, roster: Roster) -> frozenset[str]:
    match row:
        case Account():
            beside = _accounts_of(row.cluster, roster) if row.cluster is not None else frozenset()
            return frozenset({f"{row.kind.value}:{row.id}"}) | beside
        case ClusterReading():
            return _accounts_of(row.id, roster)
        case _:
            prefix, name = _NAMED_BY[type(row)]
            return frozenset({f"{prefix}{getattr(row, name)}"})


def _accounts_of(cluster: str, roster: Roster) -> frozenset[str]:
    """The accounts of a cluster and the organisations that they belong to."""
    accounts = [one for one in roster.accounts.values() if one.cluster == cluster]
    return frozenset(f"{one.kind.value}:{one.id}" for one in accounts) | frozenset(
        f"{ORGANISATION}{one.organisation}" for one in accounts
    )
