"""Which facts on file a record has by value: those that a word asked of the party reads, and no others.

The values are those in force at the instant of the decision, as known then, with what the caller asserted where the
file says nothing and the caller may. Parties, authorisations and consortia are named by their ids, never by a name; a
finding may tell the text of a list's entry for an organisation, and never that for a person (`domain.words.lists`).

Not here, because the book's fingerprint or the membership revision in the record pins them: country groups and the
catalogue, and the owners of an organisation (what captured it stands in the detail of its finding).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from policy_engine.domain.facts import Party
from policy_engine.domain.in_force import memberships_in_force
from policy_engine.domain.instants import format_instant
from policy_engine.domain.words import VOCABULARY, authorisations_on_file
from policy_engine.domain.words.organisations import host_of
from policy_engine.domain.words.word import Fact, FactRead
from policy_engine.shapes.record import (
    AuthorisationOnRecord,
    ClusterOnRecord,
    KnownDocument,
    ListingOnRecord,
    MembershipOnRecord,
)

Asked = list[tuple[str, str]]
"""Words with their parameters, of those whose parameter names the rows that are read."""


_READ: Final[Mapping[Fact, Mapping[str, FactRead]]] = {
    fact: {word.name: read for word in VOCABULARY.values() for read in word.reads.facts if read.fact is fact}
    for fact in Fact
}


def _asked_of(fact: Fact, asked: Asked) -> list[tuple[FactRead, str]]:
    """How the words that were asked read the fact, each with its parameter."""
    words = _READ[fact]
    return [(words[word], parameter) for word, parameter in asked if word in words]


Value = Callable[[Party, Asked], Any]
"""What a record has of a fact: a value of the member of `KnownDocument` by the same name."""


def _in_force(rows: str, name: str) -> Value:
    """The codes in force, sorted, of a list of a person's rows; `None` for one that was never filed."""

    def value(party: Party, _: Asked) -> object:
        filed = getattr(party.person, rows, None)
        if filed is None:
            return None
        return tuple(sorted({str(getattr(row, name)) for row in filed if row.valid.holds(party.question.at)}))

    return value


def _past_citizenships(party: Party, _: Asked) -> object:
    """22 CFR 120.50(b) counts every citizenship ever held."""
    if party.person is None or party.person.citizenships is None:
        return None
    return tuple(sorted({row.country for row in party.person.citizenships if row.valid.ended(party.question.at)}))


def _employment(party: Party, _: Asked) -> object:
    return None if party.person is None else tuple(sorted(party.employment))


def _filed(name: str) -> Value:
    """A value of the organisation."""
    return lambda party, _: getattr(party.organisation, name, None)


def _memberships(party: Party, asked: Asked) -> object:
    """In force, of the consortia that were asked about."""
    rows = party.question.roster.memberships.get(party.organisation_id or "")
    if not rows:
        return ()
    consortia = {parameter for _, parameter in _asked_of(Fact.MEMBERSHIPS, asked)}
    return tuple(
        MembershipOnRecord(consortium=row.consortium, status=row.status)
        for row in memberships_in_force(rows, party.question.at)
        if row.consortium in consortia
    )


def _listings(party: Party, asked: Asked) -> object:
    """In force, on the lists that were asked about, with the version of the list's entry."""
    listings = party.question.roster.listings
    names = dict.fromkeys(party.listed_names)
    questions = _asked_of(Fact.LISTINGS, asked)
    if any(read.host_too for read, _ in questions):
        names |= dict.fromkeys(one.id for one in (party.acting, host_of(party)) if one is not None)
    rows = [row for name in names for row in listings.get(name, ())]
    if not rows:
        return ()
    lists = {code for _, parameter in questions for code in parameter.split(",")}
    return tuple(
        ListingOnRecord(party=row.party, list=row.list, status=row.status, entry_version=row.entry_version)
        for row in rows
        if row.list in lists and row.valid.holds(party.question.at)
    )


def _statements(party: Party, asked: Asked) -> object:
    rows = party.question.roster.statements.get(party.organisation_id or "", ())
    kinds = {parameter for _, parameter in _asked_of(Fact.STATEMENTS, asked)}
    return tuple(sorted({row.kind for row in rows if row.kind in kinds and row.valid.holds(party.question.at)}))


def _authorisations(party: Party, asked: Asked) -> object:
    """Those that name the model, the action and the country, and what each was worth; none names an unknown model."""
    if party.question.entry is None:
        return ()
    authorisations = party.question.roster.authorisations
    holders = [one.id for one in (party.acting, host_of(party)) if one is not None]
    if not any(holder in authorisations for holder in holders):
        return ()
    found: dict[str, str] = {}
    for read, parameter in _asked_of(Fact.AUTHORISATIONS, asked):
        worth = authorisations_on_file(party, parameter, host_too=read.host_too, whoever=read.whoever)
        for state, rows in (("ended", worth.ended), ("full", worth.full), ("usable", worth.usable)):
            found |= {row.id: state for row in rows}
    return tuple(AuthorisationOnRecord(id=name, state=state) for name, state in sorted(found.items()))


def _cluster(party: Party, _: Asked) -> object:
    name = None if party.account is None else party.account.cluster
    if name is None:
        return None
    readings = party.question.roster.clusters.get(name, ())
    last = max((one.as_of for one in readings if one.as_of <= party.question.at), default=None)
    return ClusterOnRecord(id=name, as_of=None if last is None else format_instant(last))


_OF_A_PERSON: Final[Mapping[Fact, Value]] = {
    Fact.US_STATUS: _in_force("us_statuses", "kind"),
    Fact.CITIZENSHIPS: _in_force("citizenships", "country"),
    Fact.PAST_CITIZENSHIPS: _past_citizenships,
    Fact.PERMANENT_RESIDENCIES: _in_force("permanent_residencies", "country"),
    Fact.EMPLOYMENT: _employment,
}
_OF_AN_ORGANISATION: Final[Mapping[Fact, Value]] = {
    **{fact: _filed(fact.value) for fact in (Fact.INCORPORATED, Fact.HEADQUARTERS, Fact.SECTOR, Fact.RESELLER)},
    Fact.MEMBERSHIPS: _memberships,
    Fact.STATEMENTS: _statements,
    Fact.AUTHORISATIONS: _authorisations,
}
_OF_EITHER: Final[Mapping[Fact, Value]] = {
    Fact.LISTINGS: _listings,
    Fact.CLUSTER: _cluster,
}

# A set of facts is a number with a bit for each: this runs for every word of every decision.
_BIT: Final = {fact: 1 << index for index, fact in enumerate(Fact)}
_BITS: Final = {
    word.name: sum({_BIT[read.fact] for read in word.reads.facts}) for word in VOCABULARY.values() if word.reads.facts
}
_BY_PARAMETER: Final = sum(
    _BIT[fact] for fact in (Fact.MEMBERSHIPS, Fact.LISTINGS, Fact.STATEMENTS, Fact.AUTHORISATIONS)
)
_ASKED: Final = {
    (person, organisation): tuple(
        (_BIT[fact], fact.value, value)
        for group, there in ((_OF_A_PERSON, person), (_OF_AN_ORGANISATION, organisation), (_OF_EITHER, True))
        if there
        for fact, value in group.items()
    )
    for person in (False, True)
    for organisation in (False, True)
}
"""By whether the party has a natural person and an organisation: the facts that it can have."""


def known_facts(party: Party) -> KnownDocument:
    """The facts on file that the words asked of the party read.

    One that no word read is absent, as are those of a natural person where there is none and those of an organisation
    where there is none; `None` is a fact that nobody filed.
    """
    bits = 0
    asked: Asked = []
    for key in party.memo:
        reads = _BITS.get(key[0], 0)
        if reads:
            bits |= reads
            if reads & _BY_PARAMETER:
                asked.append(key)
    facts = _ASKED[party.person is not None or party.person_unknown, party.organisation is not None]
    return KnownDocument(**{fact: value(party, asked) for bit, fact, value in facts if bits & bit})
