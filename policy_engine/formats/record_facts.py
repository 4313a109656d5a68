"""Which facts on file a record has by value: those that a word asked of the party reads, and no others.

The values are those in force at the instant of the decision, as known then, with what the caller asserted where the
file says nothing and the caller may. Parties, papers and consortia are named by their ids, never by a name; a finding
may tell the text of a list's entry for an organisation, and never that for a person (`domain.words.lists`).

Not here, because the book's fingerprint or the membership revision in the record pins them: country groups and the
catalogue, and the owners of an organisation (what captured it stands in the detail of its finding).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, Protocol

from policy_engine.domain.facts import Party
from policy_engine.domain.in_force import memberships_in_force
from policy_engine.domain.instants import Validity, format_instant
from policy_engine.domain.words import papers_on_file
from policy_engine.domain.words.organisations import host_of

_ESTABLISHMENT: Final = ("incorporated", "headquarters")
_DEEMED: Final = ("us_status", "citizenships", "permanent_residencies", "incorporated")

READS: Final[Mapping[str, tuple[str, ...]]] = {
    # What the request says, the book says, or other rows said.
    "action": (),
    "in-catalogue": (),
    "kind": (),
    "model": (),
    "tier": (),
    "vendor": (),
    "consortium": (),
    "eccn": (),
    "eccn-on-file": (),
    "eccn-stated": (),
    "published": (),
    "weights-determined": (),
    "requires-end-user": (),
    "vendor-has-place-list": (),
    "operations-reach": (),
    "operations-below": (),
    "operations-excluded": (),
    "end-user-named": (),
    "gateway": (),
    "in-part": (),
    "receives-abroad": (),
    "receives-in": (),
    "destination-known": (),
    "place-stated": (),
    "column-destination": (),
    "place-conflict": (),
    "purpose-stated": (),
    "purpose": (),
    "purpose-permitted": (),
    "purpose-in-review": (),
    "claims": (),
    "status-read-by": (),
    "unbarred-by": (),
    "barred-by": (),
    # That the party is on file, and for which organisation it acts: every record says so of each party.
    "on-file": (),
    "organisation": (),
    "no-organisation": (),
    "acts-for-vendor": (),
    # What was asserted against the file stands in the detail of the finding.
    "assertion-conflict": (),
    "foreign-person": ("us_status",),
    "us-person": ("us_status",),
    "itar-national": ("us_status", "citizenships", "past_citizenships", "permanent_residencies"),
    "itar-within": ("citizenships", "past_citizenships", "permanent_residencies"),
    "deemed-covered": _DEEMED,
    "deemed-known": _DEEMED,
    "deemed-within": _DEEMED,
    "deemed-in": _DEEMED,
    "own-staff": ("employment",),
    "employee": ("employment",),
    "foreign-organisation": ("incorporated",),
    "established-in": _ESTABLISHMENT,
    "located-in": _ESTABLISHMENT,
    "unsupported-place": _ESTABLISHMENT,
    "sector": ("sector",),
    "reseller": ("reseller",),
    "member": ("memberships",),
    "membership-never": ("memberships",),
    "membership-ended": ("memberships",),
    "membership-suspended": ("memberships",),
    "pattern": ("cluster",),
    # Of the tests of ownership: the party's own establishment is asked by `established-in`.
    "owned": (),
    "owned-unresolved": (),
    "owned-minority": (),
    "captured-under": ("incorporated",),
    "parent-headquartered-in": ("headquarters",),
    "headquartered-in": ("headquarters",),
    "ultimate-parent-in": ("headquarters",),
    "listed": ("listings",),
    "person-listed": ("listings",),
    "listed-reaching": ("listings",),
    "any-listed": ("listings",),
    "listing-potential": ("listings",),
    "listing-outdated": ("listings",),
    "listing-cleared": ("listings",),
    # Asks `listed` of its list, and `established-in`.
    "military": (),
    "holds": ("authorisations",),
    "organisation-holds": ("authorisations",),
    "holds-or-host": ("authorisations",),
    "authorisation-ended": ("authorisations",),
    "authorisation-ended-or-host": ("authorisations",),
    "authorisation-full": ("authorisations",),
    "statement": ("statements",),
}
"""For every word of the vocabulary, the facts on file that it reads of the party that it is asked of."""

Asked = list[tuple[str, str]]
"""Words with their parameters, of those whose parameter names the rows that are read."""


class _Dated(Protocol):
    @property
    def valid(self) -> Validity: ...


def _now(rows: Iterable[_Dated] | None, at: datetime, name: str) -> list[str] | None:
    """The codes in force, sorted; `None` for a list that was never filed."""
    if rows is None:
        return None
    return sorted({str(getattr(row, name)) for row in rows if row.valid.holds(at)})


def _us_status(party: Party, _: Asked) -> object:
    return None if party.person is None else _now(party.person.us_statuses, party.question.at, "kind")


def _citizenships(party: Party, _: Asked) -> object:
    return None if party.person is None else _now(party.person.citizenships, party.question.at, "country")


def _past_citizenships(party: Party, _: Asked) -> object:
    """22 CFR 120.50(b) counts every citizenship ever held."""
    if party.person is None or party.person.citizenships is None:
        return None
    return sorted({row.country for row in party.person.citizenships if row.valid.ended(party.question.at)})


def _residencies(party: Party, _: Asked) -> object:
    return None if party.person is None else _now(party.person.permanent_residencies, party.question.at, "country")


def _employment(party: Party, _: Asked) -> object:
    return None if party.person is None else sorted(party.employment)


def _incorporated(party: Party, _: Asked) -> object:
    return None if party.organisation is None else party.organisation.incorporated


def _headquarters(party: Party, _: Asked) -> object:
    return None if party.organisation is None else party.organisation.headquarters


def _sector(party: Party, _: Asked) -> object:
    return None if party.organisation is None else party.organisation.sector


def _reseller(party: Party, _: Asked) -> object:
    return None if party.organisation is None else party.organisation.reseller


def _memberships(party: Party, asked: Asked) -> object:
    """In force, of the consortia that were asked about."""
    rows = party.question.roster.memberships.get(party.organisation_id or "")
    if not rows:
        return []
    consortia = {parameter for word, parameter in asked if "memberships" in READS[word]}
    return [
        {"consortium": row.consortium, "status": row.status}
        for row in memberships_in_force(rows, party.question.at)
        if row.consortium in consortia
    ]


def _listings(party: Party, asked: Asked) -> object:
    """In force, on the lists that were asked about, with the version of the list's entry."""
    listings = party.question.roster.listings
    names = dict.fromkeys(party.listed_names)
    if any(word == "any-listed" for word, _ in asked):
        names |= dict.fromkeys(one.id for one in (party.acting, host_of(party)) if one is not None)
    rows = [row for name in names for row in listings.get(name, ())]
    if not rows:
        return []
    lists = {code for word, parameter in asked if "listings" in READS[word] for code in parameter.split(",")}
    return [
        {"party": row.party, "list": row.list, "status": row.status, "entry_version": row.entry_version}
        for row in rows
        if row.list in lists and row.valid.holds(party.question.at)
    ]


def _statements(party: Party, asked: Asked) -> object:
    rows = party.question.roster.statements.get(party.organisation_id or "", ())
    kinds = {parameter for word, parameter in asked if word == "statement"}
    return sorted({row.kind for row in rows if row.kind in kinds and row.valid.holds(party.question.at)})


_HOST_TOO: Final = frozenset({"holds-or-host", "authorisation-ended-or-host", "authorisation-full"})


def _authorisations(party: Party, asked: Asked) -> object:
    """Those that name the model, the action and the country, and what each was worth; none names an unknown model."""
    if party.question.entry is None:
        return []
    authorisations = party.question.roster.authorisations
    holders = [one.id for one in (party.acting, host_of(party)) if one is not None]
    if not any(holder in authorisations for holder in holders):
        return []
    found: dict[str, str] = {}
    for word, parameter in asked:
        if "authorisations" in READS[word]:
            papers = papers_on_file(party, parameter, host_too=word in _HOST_TOO, whoever=word == "organisation-holds")
            for state, rows in (("ended", papers.ended), ("full", papers.full), ("usable", papers.usable)):
                found |= {row.id: state for row in rows}
    return [{"id": name, "state": state} for name, state in sorted(found.items())]


def _cluster(party: Party, _: Asked) -> object:
    name = None if party.account is None else party.account.cluster
    if name is None:
        return None
    readings = party.question.roster.clusters.get(name, ())
    last = max((one.as_of for one in readings if one.as_of <= party.question.at), default=None)
    return {"id": name, "as_of": None if last is None else format_instant(last)}


Value = Callable[[Party, Asked], object]

_OF_A_PERSON: Final[Mapping[str, Value]] = {
    "us_status": _us_status,
    "citizenships": _citizenships,
    "past_citizenships": _past_citizenships,
    "permanent_residencies": _residencies,
    "employment": _employment,
}
_OF_AN_ORGANISATION: Final[Mapping[str, Value]] = {
    "incorporated": _incorporated,
    "headquarters": _headquarters,
    "sector": _sector,
    "reseller": _reseller,
    "memberships": _memberships,
    "statements": _statements,
    "authorisations": _authorisations,
}
_OF_EITHER: Final[Mapping[str, Value]] = {
    "listings": _listings,
    "cluster": _cluster,
}
FACTS: Final = (*_OF_A_PERSON, *_OF_AN_ORGANISATION, *_OF_EITHER)
"""Every fact that a record can have by value."""

# A set of facts is a number with a bit for each: this runs for every word of every decision.
_BIT: Final = {fact: 1 << index for index, fact in enumerate(FACTS)}
_BITS: Final = {word: sum(_BIT[fact] for fact in facts) for word, facts in READS.items()}
_BY_PARAMETER: Final = sum(_BIT[fact] for fact in ("memberships", "listings", "statements", "authorisations"))
_PERSON: Final = tuple((_BIT[fact], fact, value) for fact, value in _OF_A_PERSON.items())
_ORGANISATION: Final = tuple((_BIT[fact], fact, value) for fact, value in _OF_AN_ORGANISATION.items())
_EITHER: Final = tuple((_BIT[fact], fact, value) for fact, value in _OF_EITHER.items())


def known_facts(party: Party) -> dict[str, object]:
    """The facts on file that the words asked of the party read, by name.

    A fact that no word read is absent, as are those of a natural person where there is none and those of an
    organisation where there is none; `None` is a fact that nobody filed.
    """
    bits = 0
    asked: Asked = []
    for key in party.memo:
        reads = _BITS.get(key[0], 0)
        if reads:
            bits |= reads
            if reads & _BY_PARAMETER:
                asked.append(key)
    known: dict[str, object] = {}
    if party.person is not None or party.person_unknown:
        for bit, fact, value in _PERSON:
            if bits & bit:
                known[fact] = value(party, asked)
    if party.organisation is not None:
        for bit, fact, value in _ORGANISATION:
            if bits & bit:
                known[fact] = value(party, asked)
    for bit, fact, value in _EITHER:
        if bits & bit:
            known[fact] = value(party, asked)
    return known
