"""Words about lists and military end use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from policy_engine.domain import logic
from policy_engine.domain.facts import Edition, Party
from policy_engine.domain.instants import earliest
from policy_engine.domain.logic import NO, YES, Answer, Tri, known, unknown, yes
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Listing,
    ListingStatus,
)
from policy_engine.domain.rules import Book, spelt
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import Dimensions, DimensionsRead, by_book, by_parameter
from policy_engine.domain.words.items import classified_as, item_of
from policy_engine.domain.words.memory import recall
from policy_engine.domain.words.organisations import established_in, host_of
from policy_engine.domain.words.places import no_place, received_in, receives_in
from policy_engine.domain.words.word import (
    HOUSE,
    PLAIN,
    Absent,
    Clause,
    Fact,
    FactRead,
    ItemPart,
    own,
    word,
)


def listings(party: Party, names: Iterable[str], lists: str) -> list[Listing]:
    wanted = lists.split(",")
    rows = [row for name in names for row in party.question.roster.listings.get(name, ()) if row.list in wanted]
    party.question.horizon.note(earliest((row.valid for row in rows), at=party.question.at))
    return [row for row in rows if row.valid.holds(party.question.at)]


def listing_answer(party: Party, names: Iterable[str], lists: str, counts: Callable[[Listing], bool]) -> Answer:
    """Whether a listing in force under one of the names, on one of the lists, is one that counts."""
    return _entries(party, filter(counts, listings(party, names, lists)))


def _entries(party: Party, rows: Iterable[Listing]) -> Answer:
    named = party.question.edition is Edition.LISTED_NAMES
    entries = tuple(_told(row, named=named) for row in rows)
    return yes(("entries", entries)) if entries else NO


def _told(row: Listing, *, named: bool) -> str:
    """What a record says of a listing: for a person the list, the version and the reference, by which the entry is
    found, and not its text, which is a name."""
    reference = row.reference or "no reference"
    if row.party.startswith(PERSON_PREFIX) and not named:
        return f"{row.list}: an entry for a person, version {row.entry_version or 'not recorded'} ({reference})"
    return f"{row.list}: {row.entry or 'entry not recorded'} ({reference})"


def confirmed(row: Listing) -> bool:
    return row.status is ListingStatus.CONFIRMED


def potential(row: Listing) -> bool:
    return row.status is ListingStatus.POTENTIAL


def outdated(row: Listing) -> bool:
    """Cleared, against another version of the entry than the one on file."""
    return row.status is ListingStatus.CLEARED and not _current(row)


def cleared(row: Listing) -> bool:
    return row.status is ListingStatus.CLEARED and _current(row)


def unsettled(row: Listing) -> bool:
    """A match that neither is confirmed nor was cleared against the version of the entry on file."""
    return potential(row) or outdated(row)


def _current(row: Listing) -> bool:
    return row.cleared_version is not None and row.cleared_version == row.entry_version


def military_country(party: Party, parameter: str) -> Answer:
    # With no place of any kind the embargo row bars whatever this row reaches; it is left to that.
    if received_in(party) is None and no_place(party):
        return NO
    return recall(party, receives_in, parameter)


def _told_of(status: str) -> DimensionsRead:
    """Listings of this status, of the organisation and of the person, on each of the lists."""
    told = frozenset({f"organisation {status}", f"person {status}"})
    return by_parameter(lambda lists: {dimensions.LISTING + name: told for name in lists.split(",")})


def _military(test: str, book: Book) -> Dimensions:
    asked = book.tables.military[test]
    any_item = frozenset(asked.any_item_countries)
    received = any_item | frozenset(asked.supplement_countries)
    return {
        dimensions.INCORPORATED: any_item,
        dimensions.HEADQUARTERS: any_item,
        dimensions.PLACE: received,
        dimensions.ADDRESS: dimensions.NOTHING,
        dimensions.DESTINATION: received,
        dimensions.LISTING + asked.list: frozenset({"organisation confirmed", "person confirmed"}),
        dimensions.PURPOSE: frozenset({asked.purpose}),
    }


_LISTING: Final = ("listing",)
_CONFIRMED: Final = replace(PLAIN, absent=Absent.CLOSED, facts=own(Fact.LISTINGS), dimensions=_told_of("confirmed"))
_POTENTIAL: Final = replace(_CONFIRMED, dimensions=_told_of("potential"))
_OUTDATED: Final = replace(_CONFIRMED, dimensions=_told_of("outdated"))
_CLEARED: Final = replace(_CONFIRMED, dimensions=_told_of("cleared"))


_ANY_LISTED: Final = replace(_CONFIRMED, facts=(FactRead(fact=Fact.LISTINGS, host_too=True, whoever=False),))


@word(_LISTING, parameters.LISTS, _CONFIRMED, HOUSE, example="listed:EL")
def listed(party: Party, parameter: str) -> Answer:
    """The party has a confirmed listing in force on one of these lists."""
    return listing_answer(party, party.listed_names, parameter, confirmed)


@word(_LISTING, parameters.LISTS, _CONFIRMED, HOUSE, example="!person-listed:UVL")
def person_listed(party: Party, parameter: str) -> Answer:
    """The natural person, and not only the organisation, has a confirmed listing in force on one of these lists."""
    names = [] if party.person is None else [PERSON_PREFIX + party.person.id]
    return listing_answer(party, names, parameter, confirmed)


def _requirement_reaches(party: Party, row: Listing) -> Answer:
    """A requirement that nobody filed, or that the parameters do not have, reaches every item."""
    requirements = party.question.tables.requirements
    requirement = None if row.requirement is None else requirements.get(spelt(row.requirement))
    if requirement is None:
        return YES
    if requirement.eccn:
        return classified_as(party, requirement.eccn)
    eccn = item_of(party).eccn
    return unknown("model.eccn") if eccn is None else known(eccn != _EAR99 and eccn[2:5] != _UNLISTED)


_EAR99: Final = "EAR99"

_UNLISTED: Final = "999"


@word(
    _LISTING,
    parameters.LISTS,
    replace(_CONFIRMED, item=ItemPart.REQUIREMENTS),
    Clause(
        what="an entry of the Entity List says which items need a licence; where its requirement is not known it is"
        " every item",
        source="15 CFR 744.11; Supp. 4 to Part 744",
        checked=False,
    ),
    example="listed-reaching:EL",
)
def listed_reaching(party: Party, parameter: str) -> Answer:
    """As `listed`, by an entry whose licence requirement reaches the item; a requirement that is not on file, or not
    among the `requirements` of parameters.yaml, reaches every item."""
    rows = filter(confirmed, listings(party, party.listed_names, parameter))
    return logic.any_of(logic.all_of((_entries(party, [row]), _requirement_reaches(party, row))) for row in rows)


def organisation_listed(party: Party, parameter: str) -> bool:
    names = [] if party.organisation is None else [party.organisation.id]
    return any(map(confirmed, listings(party, names, parameter)))


@word(_LISTING, parameters.LISTS, _ANY_LISTED, HOUSE, example="!any-listed:EL,UVL")
def any_listed(party: Party, parameter: str) -> Answer:
    """The party, the organisation acting or the host has a confirmed listing in force on one of these lists."""
    names = list(party.listed_names)
    names += [one.id for one in (party.acting, host_of(party)) if one is not None]
    return listing_answer(party, dict.fromkeys(names), parameter, confirmed)


@word(_LISTING, parameters.LISTS, _POTENTIAL, HOUSE, example="listing-potential:EL,SDN")
def listing_potential(party: Party, parameter: str) -> Answer:
    """A potential match on one of these lists has not been settled by a person."""
    return listing_answer(party, party.listed_names, parameter, potential)


@word(_LISTING, parameters.LISTS, _OUTDATED, HOUSE, example="listing-outdated:EL,SDN")
def listing_outdated(party: Party, parameter: str) -> Answer:
    """A match was cleared against another version of the entry."""
    return listing_answer(party, party.listed_names, parameter, outdated)


@word(_LISTING, parameters.LISTS, _CLEARED, HOUSE, example="listing-cleared:EL,SDN")
def listing_cleared(party: Party, parameter: str) -> Answer:
    """A match was cleared against the version of the entry on file."""
    return listing_answer(party, party.listed_names, parameter, cleared)


@word(
    _LISTING,
    parameters.MILITARY_TEST,
    # A record has what its own questions read: `listed` of the test's list, and `established-in`.
    replace(_CONFIRMED, facts=(), item=ItemPart.SUPPLEMENT, dimensions=by_book(_military)),
    Clause(
        what="a listed military end user, or a stated military end use, by items and countries",
        source="15 CFR 744.21",
        checked=False,
    ),
    example="military:744.21",
)
def military(party: Party, parameter: str) -> Answer:
    """A military end user on the list, or a stated military end use, with the items and countries that the test
    reaches."""
    question = party.question
    test = question.tables.military[parameter]
    on_list = recall(party, listed, test.list)
    stated_use = question.request.purpose == test.purpose
    if on_list.value is not Tri.YES and not stated_use:
        return NO
    in_supplement = classified_as(party, test.supplement_eccn)
    any_item, supplement = ",".join(test.any_item_countries), ",".join(test.supplement_countries)
    answers = []
    if on_list.value is Tri.YES:
        # A person has no establishment: only a listed organisation's own counts.
        established = NO
        if organisation_listed(party, test.list):
            established = recall(party, established_in, any_item)
        reached = (in_supplement, military_country(party, any_item), established)
        answers.append(logic.all_of((on_list, logic.any_of(reached))))
    if stated_use:
        in_both = logic.all_of((in_supplement, military_country(party, supplement)))
        answers.append(logic.any_of((military_country(party, any_item), in_both)))
    return logic.any_of(answers)
