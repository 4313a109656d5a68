"""Words about lists and military end use."""

from __future__ import annotations

from collections.abc import Iterable
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
from policy_engine.domain.words.word import HOUSE, Absent, Clause, Fact, FactRead, ItemPart, Looks, Reads, Word, own


def listings(party: Party, names: Iterable[str], lists: str) -> list[Listing]:
    wanted = lists.split(",")
    rows = [row for name in names for row in party.question.roster.listings.get(name, ()) if row.list in wanted]
    party.question.horizon.note(earliest((row.valid for row in rows), at=party.question.at))
    return [row for row in rows if row.valid.holds(party.question.at)]


def listing_answer(party: Party, rows: Iterable[Listing]) -> Answer:
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


def listed(party: Party, parameter: str) -> Answer:
    rows = listings(party, party.listed_names, parameter)
    return listing_answer(party, (row for row in rows if row.status is ListingStatus.CONFIRMED))


def listed_reaching(party: Party, parameter: str) -> Answer:
    """As `listed`, by entries whose licence requirement reaches the item."""
    rows = [row for row in listings(party, party.listed_names, parameter) if row.status is ListingStatus.CONFIRMED]
    return logic.any_of(logic.all_of((listing_answer(party, [row]), _requirement_reaches(party, row))) for row in rows)


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


def person_listed(party: Party, parameter: str) -> Answer:
    names = [] if party.person is None else [PERSON_PREFIX + party.person.id]
    rows = listings(party, names, parameter)
    return listing_answer(party, (row for row in rows if row.status is ListingStatus.CONFIRMED))


def organisation_listed(party: Party, parameter: str) -> bool:
    names = [] if party.organisation is None else [party.organisation.id]
    return any(row.status is ListingStatus.CONFIRMED for row in listings(party, names, parameter))


def any_listed(party: Party, parameter: str) -> Answer:
    names = list(party.listed_names)
    names += [one.id for one in (party.acting, host_of(party)) if one is not None]
    rows = listings(party, dict.fromkeys(names), parameter)
    return listing_answer(party, (row for row in rows if row.status is ListingStatus.CONFIRMED))


def listing_potential(party: Party, parameter: str) -> Answer:
    rows = listings(party, party.listed_names, parameter)
    return listing_answer(party, (row for row in rows if row.status is ListingStatus.POTENTIAL))


def clearance_current(row: Listing) -> bool:
    return row.cleared_version is not None and row.cleared_version == row.entry_version


def unsettled(row: Listing) -> bool:
    """A match that neither is confirmed nor was cleared against the version of the entry on file."""
    outdated = row.status is ListingStatus.CLEARED and not clearance_current(row)
    return row.status is ListingStatus.POTENTIAL or outdated


def listing_outdated(party: Party, parameter: str) -> Answer:
    rows = listings(party, party.listed_names, parameter)
    return listing_answer(
        party, (row for row in rows if row.status is ListingStatus.CLEARED and not clearance_current(row))
    )


def listing_cleared(party: Party, parameter: str) -> Answer:
    rows = listings(party, party.listed_names, parameter)
    return listing_answer(
        party, (row for row in rows if row.status is ListingStatus.CLEARED and clearance_current(row))
    )


def military(party: Party, parameter: str) -> Answer:
    """15 CFR 744.21: a listed military end user, or a stated military end use, with the items and countries reached."""
    question = party.question
    test = question.tables.military[parameter]
    on_list = recall(party, "listed", test.list, listed)
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
            established = recall(party, "established-in", any_item, established_in)
        reached = (in_supplement, military_country(party, any_item), established)
        answers.append(logic.all_of((on_list, logic.any_of(reached))))
    if stated_use:
        in_both = logic.all_of((in_supplement, military_country(party, supplement)))
        answers.append(logic.any_of((military_country(party, any_item), in_both)))
    return logic.any_of(answers)


def military_country(party: Party, parameter: str) -> Answer:
    # With no place of any kind the embargo row bars whatever this row reaches; it is left to that.
    if received_in(party) is None and no_place(party):
        return NO
    return recall(party, "receives-in", parameter, receives_in)


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
_CONFIRMED: Final = Reads(
    absent=Absent.CLOSED,
    looks=Looks.AT_FACTS,
    facts=own(Fact.LISTINGS),
    item=ItemPart.NOTHING,
    dimensions=_told_of("confirmed"),
    obtainable=None,
)

WORDS: Final = (
    Word(
        name="listed",
        columns=_LISTING,
        parameter=parameters.LISTS,
        reads=_CONFIRMED,
        answer=listed,
        meaning="The party has a confirmed listing in force on one of these lists.",
        example="listed:EL",
        clause=HOUSE,
    ),
    Word(
        name="person-listed",
        columns=_LISTING,
        parameter=parameters.LISTS,
        reads=_CONFIRMED,
        answer=person_listed,
        meaning="The natural person, and not only the organisation, has a confirmed listing in force on one of these"
        " lists.",
        example="!person-listed:UVL",
        clause=HOUSE,
    ),
    Word(
        name="listed-reaching",
        columns=_LISTING,
        parameter=parameters.LISTS,
        reads=replace(_CONFIRMED, item=ItemPart.REQUIREMENTS),
        answer=listed_reaching,
        meaning="As `listed`, by an entry whose licence requirement reaches the item; a requirement that is not on"
        " file, or not among the `requirements` of parameters.yaml, reaches every item.",
        example="listed-reaching:EL",
        clause=Clause(
            what="an entry of the Entity List says which items need a licence; where its requirement is not known it is"
            " every item",
            source="15 CFR 744.11; Supp. 4 to Part 744",
            checked=False,
        ),
    ),
    Word(
        name="any-listed",
        columns=_LISTING,
        parameter=parameters.LISTS,
        reads=replace(_CONFIRMED, facts=(FactRead(fact=Fact.LISTINGS, host_too=True, whoever=False),)),
        answer=any_listed,
        meaning="The party, the organisation acting or the host has a confirmed listing in force on one of these"
        " lists.",
        example="!any-listed:EL,UVL",
        clause=HOUSE,
    ),
    Word(
        name="listing-potential",
        columns=_LISTING,
        parameter=parameters.LISTS,
        reads=replace(_CONFIRMED, dimensions=_told_of("potential")),
        answer=listing_potential,
        meaning="A potential match on one of these lists has not been settled by a person.",
        example="listing-potential:EL,SDN",
        clause=HOUSE,
    ),
    Word(
        name="listing-outdated",
        columns=_LISTING,
        parameter=parameters.LISTS,
        reads=replace(_CONFIRMED, dimensions=_told_of("outdated")),
        answer=listing_outdated,
        meaning="A match was cleared against another version of the entry.",
        example="listing-outdated:EL,SDN",
        clause=HOUSE,
    ),
    Word(
        name="listing-cleared",
        columns=_LISTING,
        parameter=parameters.LISTS,
        reads=replace(_CONFIRMED, dimensions=_told_of("cleared")),
        answer=listing_cleared,
        meaning="A match was cleared against the version of the entry on file.",
        example="listing-cleared:EL,SDN",
        clause=HOUSE,
    ),
    Word(
        name="military",
        columns=_LISTING,
        parameter=parameters.MILITARY_TEST,
        # A record has what its own questions read: `listed` of the test's list, and `established-in`.
        reads=replace(_CONFIRMED, facts=(), item=ItemPart.SUPPLEMENT, dimensions=by_book(_military)),
        answer=military,
        meaning="A military end user on the list, or a stated military end use, with the items and countries that the"
        " test reaches.",
        example="military:744.21",
        clause=Clause(
            what="a listed military end user, or a stated military end use, by items and countries",
            source="15 CFR 744.21",
            checked=False,
        ),
    ),
)
"""The words of this family, each with all that anybody asks about it."""
