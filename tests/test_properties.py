"""The laws of the decision, over generated worlds: what no file, book, order or instant may bring about."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings

from policy_engine.domain.facts import derive
from policy_engine.domain.instants import ALWAYS, Validity, format_instant
from policy_engine.domain.request import Action, Assertion, Caller, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import (
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    ClusterReading,
    Draw,
    Employment,
    EmploymentKind,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    Organisation,
    PermanentResidency,
    PersonEntry,
    Roster,
    RosterRows,
    Sector,
    Stake,
    Statement,
    StatementKind,
    UsStatus,
    UsStatusKind,
)
from policy_engine.domain.rules import ANYTHING, FACETS, CodeRule, Condition, Effect, Enforcement, Row
from policy_engine.domain.verdict import State
from policy_engine.policy.judge import Judge
from policy_engine.policy.layers import CircleError, layers_of
from policy_engine.policy.reader import read_book
from tests.api.service import copied, known_by, serving
from tests.conftest import FILES, judge_for, shipped
from tests.laws import (
    Asked,
    allows,
    answered,
    asked_of,
    at_the_desk,
    book_of,
    both,
    bytes_of,
    explained,
    names_near,
    open_facts,
    some,
    verdict,
    with_request,
    with_rows,
    without_assertions,
)
from tests.randoms import RANDOMS
from tests.worlds import COUNTRIES, INSTANTS, Read, World, friendly_world, world

MICROSECOND: Final = timedelta(microseconds=1)
SHIPPED: Final = shipped()


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# --- 1: more bars, more listings --------------------------------------------------------------------------------------

_BARS: Final = [
    row for row in SHIPPED.rows if row.effect is Effect.DENY and row.words.isdisjoint({"in-catalogue", "on-file"})
]
_POOL: Final[dict[str, list[Condition]]] = {
    facet: sorted({row.facet(facet) for row in _BARS}, key=lambda one: one.text) for facet in FACETS
}
_UNLESS: Final = sorted({row.unless for row in _BARS}, key=lambda one: one.text)


def a_bar(random: Random, name: str, *, asks: bool) -> Row:
    """A bar with one or two conditions of shipped bars, or with none."""
    asked = random.sample(FACETS, k=random.randint(1, 2)) if asks else []
    return replace(
        random.choice(_BARS),
        id=name,
        hold=some(random, 0.3),
        judges_host=some(random, 0.5),
        facets=tuple(random.choice(_POOL[facet]) if facet in asked else ANYTHING for facet in FACETS),
        unless=random.choice(_UNLESS) if asks else ANYTHING,
        codes=(CodeRule(code="OPERATOR_SUSPENSION"),),
        obligations=(),
        valid=random.choice(_BARS).valid if asks else ALWAYS,
        suspended=random.choice(_BARS).suspended if asks else (),
        enforcement=Enforcement.ADVISORY if asks and some(random, 0.1) else Enforcement.ENFORCED,
    )


def with_bars(asked: Asked, *bars: Row) -> Asked:
    rows = tuple(sorted((*asked.book.rows, *bars), key=lambda row: row.id))
    return replace(asked, book=replace(asked.book, rows=rows))


def with_a_bar_in_order(random: Random, asked: Asked, name: str) -> Asked:
    """The question with a bar more that makes no circle of bars that ask about bars, since no book is read with one."""
    while True:
        found = with_bars(asked, a_bar(random, name, asks=True))
        try:
            layers_of(found.book.rows)
        except CircleError:
            continue
        return found


@settings(max_examples=300)
@given(RANDOMS)
def test_a_bar_added_to_the_book_never_turns_a_deny_into_an_allow(random: Random) -> None:
    asked = asked_of(world(random))
    denied = not allows(asked)
    for number in range(4):
        asked = with_a_bar_in_order(random, asked, f"ADDED-{number}")
        now = allows(asked)
        assert not (denied and now)
        denied = not now


@settings(max_examples=100)
@given(RANDOMS)
def test_a_bar_that_asks_nothing_denies_everybody_who_is_on_file_and_decides(random: Random) -> None:
    asked = with_bars(asked_of(world(random)), a_bar(random, "FOR-ALL", asks=False))
    told = answered(asked)
    assert not told.verdict.allowed
    assert not told.decision.alternatives
    if told.decision.entry is not None and told.parties[0].on_file:
        assert "FOR-ALL" in {finding.rule for finding in told.verdict.deciding}


_LISTS: Final = ["EL", "MEU", "UVL", "SDN", "DPL"]


def a_listing(random: Random, party: str, name: str, number: int) -> Listing:
    """A listing by an entry of its own, so that it corrects none that is on file."""
    status = random.choice([ListingStatus.CONFIRMED, ListingStatus.CONFIRMED, *ListingStatus])
    return Listing(
        party=party,
        list=name,
        entry=f"added entry {number}",
        entry_version="2026-01-01",
        reference=None,
        status=status,
        cleared_version=random.choice(["2026-01-01", "2025-01-01"]) if status is ListingStatus.CLEARED else None,
    )


@settings(max_examples=300)
@given(RANDOMS)
def test_a_listing_of_any_party_on_any_list_never_turns_a_deny_into_an_allow(random: Random) -> None:
    asked = asked_of(world(random))
    question = derive(asked.request, asked.roster, asked.book, asked.caller, asked.at)
    asking = [name for party in question.parties for name in party.listed_names]
    if some(random, 0.3):
        # Where no term of a vendor is read, little but the lists decides.
        abroad = random.choice(["RU", "BY", "CN"])
        organisations = tuple(
            replace(row, headquarters=abroad) if row.id in asking else row for row in asked.rows.organisations
        )
        asked = with_rows(asked, replace(asked.rows, organisations=organisations))
        asked = with_request(asked, replace(asked.request, action=Action.LICENCE_DETERMINATION))
    owners = [stake.owner for stake in asked.rows.stakes]
    anybody = [row.id for row in asked.rows.organisations] + [f"person:{row.id}" for row in asked.rows.people]
    parties = random.choices([*asking, *asking, *owners, *anybody, "nobody"], k=3)
    lists = random.sample(_LISTS, k=2)
    denied = not allows(asked)
    for number in range(5):
        added = a_listing(random, random.choice(parties), random.choice(lists), number)
        asked = with_rows(asked, replace(asked.rows, listings=(*asked.rows.listings, added)))
        now = allows(asked)
        assert not (denied and now), added
        denied = not now


def an_organisation(name: str, country: str | None = "US", **more: Any) -> Organisation:
    filed = {"incorporated": country, "headquarters": country, "sector": Sector.OTHER, "reseller": False, **more}
    return Organisation(id=name, **filed)


def a_confirmed(party: str, name: str) -> Listing:
    return Listing(
        party=party,
        list=name,
        entry="entry",
        entry_version="1",
        reference=None,
        status=ListingStatus.CONFIRMED,
    )


ANN: Final = PersonEntry(
    id="ann",
    employments_filed=True,
    us_status_filed=True,
    citizenships_filed=True,
    permanent_residencies_filed=True,
)
ANN_AT_WORK: Final = RosterRows(
    organisations=(an_organisation("works"),),
    people=(ANN,),
    employments=(Employment(person="ann", organisation="works", kind=EmploymentKind.EMPLOYEE),),
    us_statuses=(UsStatus(person="ann", kind=UsStatusKind.CITIZEN),),
    citizenships=(Citizenship(person="ann", country="US"),),
)
"""A US citizen at a US company of no particular sector."""
ANN_ASKS: Final = Request(
    subject=Subject(type=SubjectType.PERSON, id="ann"),
    model="opus-4.6",
    action=Action.INFER,
    place=Place(country="US", ip_country="US"),
)
QUIET: Final = instant("2026-08-01T12:00:00Z")
"""An instant at which no order is in force."""


def ask(rows: RosterRows, request: Request, at: datetime = QUIET, caller: Caller | None = None) -> Asked:
    return Asked(book=SHIPPED, rows=rows, request=request, caller=caller or Caller(id="caller"), at=at)


def deciding(asked: Asked) -> dict[str, tuple[str, ...]]:
    return {finding.rule: finding.codes for finding in verdict(asked).deciding}


def test_a_listed_person_does_not_hide_that_the_organisation_acting_is_a_listed_military_end_user() -> None:
    russian = replace(
        ANN_AT_WORK, organisations=(an_organisation("works", "RU"),), listings=(a_confirmed("works", "MEU"),)
    )
    request = replace(ANN_ASKS, action=Action.LICENCE_DETERMINATION)
    assert set(deciding(ask(russian, request))) == {"MEU-744.21"}
    both = replace(russian, listings=(*russian.listings, a_confirmed("person:ann", "MEU")))
    assert set(deciding(ask(both, request))) == {"MEU-744.21"}


# --- 2: less known ----------------------------------------------------------------------------------------------------


@settings(max_examples=150)
@given(RANDOMS)
def test_an_open_fact_that_becomes_unknown_never_turns_a_deny_into_an_allow(random: Random) -> None:
    asked = without_assertions(asked_of(friendly_world(random)))
    if some(random, 0.15):
        asked = with_request(asked, replace(asked.request, place=Place(country="UA", subdivision="UA-65")))
    if some(random, 0.4):
        asked = at_the_desk(random, asked)
    denied = not allows(asked)
    for fact in open_facts(random, asked):
        if not allows(fact.forget(asked)):
            continue
        assert not denied, fact.name
        # What is allowed without a fact is allowed whatever the fact may be.
        for learn in fact.learn:
            assert allows(learn(asked)), fact.name


def test_a_purpose_that_is_not_stated_is_no_military_end_use() -> None:
    russian = replace(ANN_AT_WORK, organisations=(an_organisation("works", "RU"),))
    request = replace(
        ANN_ASKS, action=Action.LICENCE_DETERMINATION, place=Place(country="RU"), purpose="military_end_use"
    )
    assert deciding(ask(russian, request)) == {"MEU-744.21": ("LICENCE_REQUIRED",)}
    assert deciding(ask(russian, replace(request, purpose=None))) == {"OPERATOR-EXPORT-DESK": ("DESK_ACCESS",)}


@pytest.mark.parametrize(
    "place",
    [Place(country="IR", ip_country="US"), Place(country="US", ip_country="IR")],
    ids=["stated in Iran", "address in Iran"],
)
def test_a_place_is_asked_for_only_where_neither_country_nor_address_is_known(place: Place) -> None:
    request = replace(ANN_ASKS, place=place)
    assert set(deciding(ask(ANN_AT_WORK, request))) == {
        "OFAC-EMBARGO",
        "VENDOR-REGION",
        "OPERATOR-LOCATION-EVIDENCE",
    }
    without_iran = Place(**{name: "US" for name in ("country", "ip_country") if getattr(place, name) == "US"})
    assert allows(ask(ANN_AT_WORK, replace(request, place=without_iran)))
    assert deciding(ask(ANN_AT_WORK, replace(request, place=Place()))) == {
        "OFAC-EMBARGO": ("LOCATION_UNKNOWN",),
        "VENDOR-REGION": ("LOCATION_UNKNOWN",),
    }


def test_a_part_of_a_country_is_asked_for_in_ukraine_alone() -> None:
    request = replace(ANN_ASKS, model="minimax-m2", place=Place(country="RU", subdivision="UA-43"))
    assert deciding(ask(ANN_AT_WORK, request)) == {"OFAC-UA-REGIONS": ("EMBARGOED_TERRITORY",)}
    assert allows(ask(ANN_AT_WORK, replace(request, place=Place(country="RU"))))
    for place in (Place(country="UA"), Place(country="RU", subdivision="RU-CR")):
        unknown = deciding(ask(ANN_AT_WORK, replace(request, place=place)))
        assert unknown == {"OFAC-UA-REGIONS": ("LOCATION_UNKNOWN",)}


def test_a_postcode_stands_in_for_a_subdivision_that_is_not_stated() -> None:
    place = Place(country="UA", subdivision="UA-43", postcode="01001")
    request = replace(ANN_ASKS, model="minimax-m2", place=place)
    assert deciding(ask(ANN_AT_WORK, request)) == {"OFAC-UA-REGIONS": ("EMBARGOED_TERRITORY",)}
    assert allows(ask(ANN_AT_WORK, replace(request, place=replace(place, subdivision=None))))


@pytest.mark.parametrize(
    ("others", "barred_by"),
    [("40", "OFAC-50-UNRESOLVED"), ("50.01", None), ("60", None)],
)
def test_an_unknown_share_is_at_most_what_the_known_shares_leave(others: str, barred_by: str | None) -> None:
    def held(percent: str | None) -> RosterRows:
        share = None if percent is None else Decimal(percent)
        return replace(
            ANN_AT_WORK,
            stakes=(
                Stake(owner="blocked", owned="works", percent=share),
                Stake(owner="other", owned="works", percent=Decimal(others)),
            ),
            organisations=(an_organisation("works"), an_organisation("blocked"), an_organisation("other")),
            listings=(a_confirmed("blocked", "SDN"),),
        )

    known = set(deciding(ask(held("60"), ANN_ASKS)))
    # Shares of more than 100.5 percent in all are a mistake somewhere, and none of them is known then.
    assert known == {"OFAC-50" if others == "40" else "OFAC-50-UNRESOLVED"}
    now = set(deciding(ask(held(None), ANN_ASKS)))
    assert now == {barred_by or "VENDOR-GENERAL-ACCESS"}


# --- 3: what nobody reads ---------------------------------------------------------------------------------------------


def _soon(random: Random, at: datetime) -> Validity:
    edge = at + timedelta(seconds=random.randint(1, 29))
    return random.choice([ALWAYS, Validity(end=edge), Validity(start=edge), Validity(start=at), Validity(end=at)])


def with_other_people(random: Random, asked: Asked) -> Asked:
    """The same question with another standing, other citizenships and residencies of everybody."""
    countries = [country for country in COUNTRIES if country is not None]
    people, statuses, citizenships, residencies = [], [], [], []
    for entry in asked.rows.people:
        people.append(
            replace(
                entry,
                us_status_filed=some(random, 0.8),
                citizenships_filed=some(random, 0.8),
                permanent_residencies_filed=some(random, 0.8),
            )
        )
        if some(random, 0.8):
            kind = random.choice(list(UsStatusKind))
            statuses.append(UsStatus(person=entry.id, kind=kind, valid=_soon(random, asked.at)))
        for country in random.sample(countries, k=random.randint(0, 2)):
            citizenships.append(Citizenship(person=entry.id, country=country, valid=_soon(random, asked.at)))
            residencies.append(PermanentResidency(person=entry.id, country=country, valid=_soon(random, asked.at)))
    return with_rows(
        asked,
        replace(
            asked.rows,
            people=tuple(people),
            us_statuses=tuple(statuses),
            citizenships=tuple(citizenships),
            permanent_residencies=tuple(residencies),
        ),
    )


def with_strangers(random: Random, asked: Asked) -> Asked:
    """The same question with other facts on file about those who neither ask, host nor own."""
    near = names_near(asked)
    far = [row.id for row in asked.rows.organisations if row.id not in near] + ["stranger"]
    rows = asked.rows
    added = RosterRows(
        organisations=(an_organisation("stranger", random.choice(COUNTRIES)),),
        people=(replace(ANN, id="stranger"),),
        employments=(Employment(person="stranger", organisation="stranger", kind=EmploymentKind.EMPLOYEE),),
        us_statuses=(UsStatus(person="stranger", kind=UsStatusKind.NONE, valid=_soon(random, asked.at)),),
        accounts=(
            Account(
                id="stranger",
                kind=AccountKind.ACCOUNT,
                organisation="stranger",
                person="stranger",
                gateway="main",
                cluster="strangers",
            ),
        ),
        memberships=tuple(
            Membership(
                organisation=name,
                consortium="glasswing",
                status=random.choice(list(MembershipStatus)),
                valid=_soon(random, asked.at),
            )
            for name in far
        ),
        authorisations=tuple(
            Authorisation(
                id=f"paper of {name}",
                regime=random.choice(["us-ear", "us-order"]),
                kind=random.choice(list(AuthorisationKind)),
                holder=name,
                models=(asked.request.model,),
                actions=(asked.request.action.value,),
                valid=_soon(random, asked.at),
            )
            for name in far
        ),
        draws=tuple(Draw(authorisation=f"paper of {name}", person="stranger", at=asked.at) for name in far),
        listings=tuple(
            replace(a_listing(random, party, random.choice(_LISTS), number), valid=_soon(random, asked.at))
            for number, party in enumerate([*far, "person:stranger"])
        ),
        statements=tuple(
            Statement(organisation=name, kind=random.choice(list(StatementKind)), valid=_soon(random, asked.at))
            for name in far
        ),
        clusters=(
            ClusterReading(
                id="strangers", shared=("payment", "proxy_asn"), accounts=600, exchanges_24h=410000, as_of=asked.at
            ),
        ),
    )
    changed = tuple(
        replace(row, headquarters=random.choice(COUNTRIES), incorporated=random.choice(COUNTRIES), sector=None)
        if row.id in far
        else row
        for row in rows.organisations
    )
    together = {
        column.name: (*getattr(rows, column.name), *getattr(added, column.name)) for column in fields(RosterRows)
    }
    return with_rows(asked, RosterRows(**{**together, "organisations": (*changed, *added.organisations)}))


@settings(max_examples=250)
@given(RANDOMS)
def test_a_fact_that_no_row_in_force_reads_never_changes_a_byte_of_the_answer(random: Random) -> None:
    asked = without_assertions(asked_of(world(random)))
    model = random.choice(["opus-4.6", "fable-5", "gpt-5.4", "gemini-3.1-pro", "gemini-4"])
    request = replace(asked.request, model=model, action=Action.INFER)
    ordered = instant("2026-06-12T21:20:00Z") <= asked.at < instant("2026-06-30T22:00:00Z")
    # A paper for some nationalities reads whose they are, whatever the rows read.
    papers = tuple(replace(paper, nationalities=None) for paper in asked.rows.authorisations)
    asked = with_rows(asked, replace(asked.rows, authorisations=papers))
    asked = replace(asked, request=request, at=QUIET if ordered else asked.at)
    told = bytes_of(answered(asked))
    others = with_other_people(random, asked)
    assert bytes_of(answered(others)) == told
    strangers = with_strangers(random, asked)
    assert bytes_of(answered(strangers)) == told


# --- 4 and 5: neither order nor memory --------------------------------------------------------------------------------


def shuffled_files(random: Random) -> dict[str, bytes]:
    """The shipped files with the rules and the entries of the catalogue in another order."""
    files = dict(FILES)
    for name, data in FILES.items():
        if name.startswith("rules/"):
            head, *rules = csv.reader(io.StringIO(data.decode(), newline=""))
            text = io.StringIO(newline="")
            csv.writer(text).writerows([head, *random.sample(rules, k=len(rules))])
            files[name] = text.getvalue().encode()
    remarks, *entries = FILES["catalogue.yaml"].decode().rstrip("\n").split("\n\n")
    files["catalogue.yaml"] = ("\n\n".join([remarks, *random.sample(entries, k=len(entries))]) + "\n").encode()
    return {name: files[name] for name in random.sample(sorted(files), k=len(files))}


def shuffled(random: Random, document: World) -> World:
    """The same world with its rows in another order."""

    def anew(rows: Any) -> Any:
        return random.sample(rows, k=len(rows)) if isinstance(rows, list) else rows

    members = {name: anew(document["members"][name]) for name in anew(list(document["members"]))}
    members["people"] = [{name: anew(rows) for name, rows in person.items()} for person in members["people"]]
    catalogue = {name: document["catalogue"][name] for name in anew(list(document["catalogue"]))}
    return {**document, "members": members, "catalogue": catalogue}


@settings(max_examples=60)
@given(RANDOMS)
def test_the_order_of_rules_catalogue_and_roster_changes_neither_fingerprint_nor_answer(random: Random) -> None:
    document = world(random)
    members = document["members"]
    members["listings"] += [
        {
            "party": organisation["id"],
            "list": "SDN",
            "entry": entry,
            "entry_version": "2026-01-01",
            "reference": None,
            "status": "confirmed",
            "cleared_version": None,
        }
        for organisation in members["organisations"]
        if some(random, 0.2)
        for entry in ("one entry", "another one")
    ]
    other = Read(shuffled(random, document))
    asked = explained(asked_of(document))
    book = read_book(shuffled_files(random), enforcement=other.enforcement, extra_catalogue=other.catalogue)
    assert book.fingerprint == asked.book.fingerprint
    reordered = replace(asked, book=book, rows=other.rows)
    assert both(answered(reordered)) == both(answered(asked))


@pytest.mark.parametrize("seed", range(5))
def test_the_book_of_a_world_is_the_one_that_the_reader_gives(seed: int) -> None:
    read = Read(world(Random(seed)))
    assert book_of(read) == read_book(FILES, enforcement=read.enforcement, extra_catalogue=read.catalogue)


def instants_of(asked: Asked) -> Iterator[datetime]:
    """Every instant at which a fact of the file or a row of the book changes."""
    for column in fields(RosterRows):
        for row in getattr(asked.rows, column.name):
            valid = getattr(row, "valid", ALWAYS)
            yield from (edge for edge in (valid.start, valid.end) if edge is not None)
            if isinstance(row, Draw):
                yield row.at
            if isinstance(row, ClusterReading):
                yield row.as_of
                yield row.as_of + timedelta(hours=24) + MICROSECOND
    for rule in asked.book.rows:
        for interval in (rule.valid, *rule.suspended):
            yield from (edge for edge in (interval.start, interval.end) if edge is not None and edge.year > 2024)
    for group in asked.book.tables.places.groups.values():
        for member in group.members:
            edges = (member.valid.start, member.valid.end)
            yield from (edge for edge in edges if edge is not None and edge.year > 2024)


@settings(max_examples=80)
@given(RANDOMS)
def test_an_answer_does_not_depend_on_what_was_asked_before(random: Random) -> None:
    first = explained(asked_of(friendly_world(random)))
    requests = [first.request, *(Read(world(random)).request for _ in range(3))]
    shares = with_rows(first, RosterRows(stakes=first.rows.stakes))
    soon = random.choice(sorted(set(instants_of(random.choice([first, shares])))))
    instants = [first.at, instant(random.choice(INSTANTS)), soon - timedelta(seconds=9), soon - timedelta(seconds=5)]
    questions = [replace(first, request=request, at=at) for request in requests for at in random.sample(instants, k=2)]
    cold = [both(answered(asked)) for asked in questions]
    judge, roster = Judge(first.book), first.roster
    for number in random.choices(range(len(questions)), k=2 * len(questions)):
        asked = questions[number]
        assert both(answered(asked, judge, roster)) == cold[number]


# --- 6: alternatives --------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(RANDOMS)
def test_every_alternative_is_allowed_when_it_is_asked_for_and_no_other_fallback_is(random: Random) -> None:
    asked = asked_of(world(random))
    if some(random, 0.5):
        models = sorted(asked.book.tables.catalogue.entries)
        asked = with_request(asked, replace(asked.request, fallbacks=tuple(random.sample(models, k=4))))
    told = answered(asked)
    entry = told.decision.entry
    fallbacks = asked.request.fallbacks
    if fallbacks is None:
        fallbacks = () if entry is None else entry.fallbacks
    for name in fallbacks:
        itself = asked.request.model == name or (entry is not None and entry.id == name)
        there = with_request(asked, replace(asked.request, model=name))
        assert (name in told.decision.alternatives) == (not itself and allows(there)), name
    assert set(told.decision.alternatives) <= set(fallbacks)


# --- 7: rows go on and off by themselves ------------------------------------------------------------------------------

_CELLS: Final = {
    cells["id"]: cells
    for name, data in FILES.items()
    if name.startswith("rules/")
    for cells in csv.DictReader(io.StringIO(data.decode(), newline=""))
}


def _edges(cells: Mapping[str, str]) -> list[datetime]:
    texts = [cells["from"], cells["to"], *cells["suspended"].replace(";", "/").split("/")]
    return sorted({instant(text.strip()) for text in texts if text.strip()})


def _state(cells: Mapping[str, str], at: datetime) -> str | None:
    """What the file says of a row at an instant, when it matches alone."""
    if (cells["from"] and at < instant(cells["from"])) or (cells["to"] and at >= instant(cells["to"])):
        return None
    for interval in cells["suspended"].split(";"):
        begin, _, end = interval.strip().partition("/")
        if begin and instant(begin) <= at < instant(end):
            return "suspended"
    if cells["enforcement"] == "advisory":
        return "advisory"
    return "note" if cells["effect"] == "note" else "deciding"


_DATED: Final = sorted(rule for rule, cells in _CELLS.items() if _edges(cells))


@pytest.mark.parametrize("rule", _DATED)
def test_a_row_goes_on_and_off_and_is_suspended_to_the_microsecond(rule: str) -> None:
    row = SHIPPED.row(rule)
    assert row is not None
    for_all = replace(
        row,
        facets=tuple(ANYTHING for _ in FACETS),
        unless=ANYTHING,
        codes=(CodeRule(code="OPERATOR_SUSPENSION"),),
    )
    judge = Judge(replace(SHIPPED, rows=(for_all,)))
    asked = ask(ANN_AT_WORK, ANN_ASKS)
    roster = asked.roster
    edges = _edges(_CELLS[rule])
    instants = [at for edge in edges for at in (edge - MICROSECOND, edge, edge + MICROSECOND)]
    assert len({_state(_CELLS[rule], at) for at in instants}) > 1
    for at in (*instants, *reversed(instants)):
        told = answered(replace(asked, at=at), judge, roster)
        states = {finding.rule: finding.state.value for finding in told.verdict.findings}
        assert states.get(rule) == _state(_CELLS[rule], at), format_instant(at)
        if told.verdict.allowed:
            assert not any(at < edge < told.decision.valid_until for edge in edges)


def test_the_rows_that_the_law_dates_are_dated() -> None:
    assert len(_DATED) > 20
    assert {row for row in _DATED if _CELLS[row]["suspended"]} == {"BIS-AFFILIATES", "BIS-AFFILIATES-UNRESOLVED"}


# --- 8: what a verdict says -------------------------------------------------------------------------------------------

_REGIMES: Final = "engine us-order us-itar us-ear us-ofac vendor consortium operator cn-blocking".split()


@settings(max_examples=300)
@given(RANDOMS)
def test_what_decides_is_in_force_and_the_first_of_it_is_the_reason(random: Random) -> None:
    asked = asked_of(world(random))
    told = verdict(asked)
    rows = {row.id: row for row in asked.book.rows}
    assert told.deciding
    for finding in told.deciding:
        if finding.rule == "ENGINE-NO-GRANT":
            assert told.deciding == (finding,)
            assert (finding.regime, finding.codes) == ("engine", ("ACTION_NOT_PERMITTED",))
            continue
        row = rows[finding.rule]
        assert row.valid.holds(asked.at)
        assert not any(interval.holds(asked.at) for interval in row.suspended)
        assert row.enforcement is Enforcement.ENFORCED
        assert row.effect is (Effect.PERMIT if told.allowed else Effect.DENY)
    first = min(told.deciding, key=lambda one: (_REGIMES.index(one.regime), one.rule))
    assert (told.reason, told.reason_code) == (first, min(first.codes))
    assert told.hold == any(finding.hold for finding in told.deciding)
    assert told.hold == any(rows[finding.rule].hold for finding in told.deciding if finding.rule in rows)
    if told.allowed:
        assert not told.missing
    for finding in told.findings:
        barred = finding.effect is Effect.DENY and finding.state is State.DECIDING
        assert not (told.allowed and barred)
        if finding.state is State.LIFTED:
            assert finding.lifted_by is not None
            assert finding.lifted_by in rows[finding.rule].unless.text
            if finding.lifted_by in rows:
                assert finding.lifted_by in {one.rule for one in told.findings if one.state is State.NOTE}


# --- 9: how long an answer holds --------------------------------------------------------------------------------------


def changing_soon(random: Random, asked: Asked) -> RosterRows:
    """The rows, those of one or two kinds beginning or ending within the time for which an allow may be reused."""

    def soon() -> datetime:
        return asked.at + timedelta(microseconds=random.randint(1, random.choice([5_000_000, 30_000_000])))

    def changed(row: Any) -> Any:
        if isinstance(row, ClusterReading):
            return replace(row, as_of=random.choice([soon(), soon() - timedelta(hours=24)]))
        if isinstance(row, Draw):
            return replace(row, at=soon())
        return replace(row, valid=random.choice([Validity(start=soon()), Validity(end=soon())]))

    dated = [
        column.name
        for column in fields(RosterRows)
        for row in getattr(asked.rows, column.name)[:1]
        if hasattr(row, "valid") or isinstance(row, Draw | ClusterReading)
    ]
    chosen = {*random.sample(dated, k=min(len(dated), random.randint(1, 2))), random.choice(["clusters", "stakes"])}
    rows = replace(asked.rows, **{name: tuple(map(changed, getattr(asked.rows, name))) for name in chosen})
    if some(random, 0.3):
        party = random.choice(sorted(names_near(asked)) or ["nobody"])
        listed = replace(
            a_confirmed(party, random.choice(_LISTS)), valid=random.choice([ALWAYS, Validity(start=soon())])
        )
        rows = replace(rows, listings=(*rows.listings, listed))
    return rows


@settings(max_examples=300)
@given(RANDOMS)
def test_an_allow_stays_one_until_valid_until_and_a_deny_is_never_reused(random: Random) -> None:
    asked = asked_of(friendly_world(random))
    if some(random, 0.4):
        asked = at_the_desk(random, asked)
    if some(random, 0.8):
        asked = with_rows(asked, changing_soon(random, asked))
    else:
        before = random.choice([MICROSECOND, timedelta(microseconds=random.randint(1, 40_000_000))])
        asked = replace(asked, at=random.choice(sorted(set(instants_of(asked)))) - before)
    judge, roster = Judge(asked.book), asked.roster
    told = answered(asked, judge, roster)
    if not told.verdict.allowed:
        assert told.decision.valid_until == asked.at
        return
    assert asked.at < told.decision.valid_until <= asked.at + timedelta(seconds=30)
    later = {told.decision.valid_until - MICROSECOND, asked.at + (told.decision.valid_until - asked.at) / 2}
    later |= {edge for edge in instants_of(asked) if asked.at < edge < told.decision.valid_until}
    for at in sorted(later):
        assert answered(replace(asked, at=at), judge, roster).verdict.allowed, format_instant(at)


_KEY: Final = Subject(type=SubjectType.ACCOUNT, id="key")
_SOON: Final = timedelta(seconds=3)
_ENDS: Final = Validity(end=QUIET + _SOON)
_BEGINS: Final = Validity(start=QUIET + _SOON)
_RELEASE: Final = replace(ANN_ASKS, model="technology:4E001.a", action=Action.RELEASE)
_TO_JAPAN: Final = replace(_RELEASE, place=Place(country="JP"))
_CANADIAN: Final = replace(
    ANN_AT_WORK,
    us_statuses=(UsStatus(person="ann", kind=UsStatusKind.NONE),),
    citizenships=(Citizenship(person="ann", country="CA", valid=Validity(start=instant("2000-01-01T00:00:00Z"))),),
)
_OWNED: Final = replace(
    ANN_AT_WORK,
    organisations=(an_organisation("works"), an_organisation("owner")),
    stakes=(Stake(owner="owner", owned="works", percent=Decimal(60)),),
    listings=(a_confirmed("owner", "SDN"),),
)
_LICENSED: Final = replace(
    ANN_AT_WORK,
    authorisations=(
        Authorisation(
            id="L",
            regime="us-ear",
            kind=AuthorisationKind.LICENCE,
            holder="works",
            models=("technology:4E001.a",),
            actions=("release",),
            named_users=1,
        ),
    ),
)
_MEMBER: Final = replace(
    ANN_AT_WORK, memberships=(Membership(organisation="works", consortium="glasswing", status=MembershipStatus.ACTIVE),)
)
_CALLS_MYTHOS: Final = replace(ANN_ASKS, model="mythos-5", purpose="defensive_cybersecurity")
_IN_CLUSTER: Final = replace(
    ANN_AT_WORK,
    accounts=(
        Account(
            id="key", kind=AccountKind.ACCOUNT, organisation="works", person="ann", gateway="main", cluster="cluster"
        ),
    ),
)
_READING: Final = ClusterReading(
    id="cluster", shared=("payment", "proxy_asn"), accounts=600, exchanges_24h=410000, as_of=QUIET + _SOON
)
_IN_PARENT: Final = replace(
    ANN_AT_WORK,
    organisations=(an_organisation("works", "JP"), an_organisation("parent", "AE")),
    stakes=(Stake(owner="parent", owned="works", percent=Decimal(60), valid=_BEGINS),),
)


def _until(rows: RosterRows, valid: Validity, *names: str) -> RosterRows:
    """The rows, those of some kinds with this validity."""
    return replace(rows, **{name: tuple(replace(row, valid=valid) for row in getattr(rows, name)) for name in names})


_TO_KEY: Final = replace(ANN_ASKS, subject=_KEY)
_CHINESE: Final = Citizenship(person="ann", country="CN", valid=_BEGINS)
_IN_CHINA: Final = PermanentResidency(person="ann", country="CN", valid=_BEGINS)
_CONSIGNEE: Final = Statement(organisation="works", kind=StatementKind.STA_CONSIGNEE, valid=_ENDS)
_OLD_READING: Final = replace(_READING, accounts=3, as_of=QUIET + _SOON - timedelta(hours=24))
_CHANGES: Final[dict[str, tuple[RosterRows, Request]]] = {
    "a listing of the organisation begins": (
        _until(replace(ANN_AT_WORK, listings=(a_confirmed("works", "EL"),)), _BEGINS, "listings"),
        ANN_ASKS,
    ),
    "a listing of the person begins": (
        _until(replace(ANN_AT_WORK, listings=(a_confirmed("person:ann", "SDN"),)), _BEGINS, "listings"),
        ANN_ASKS,
    ),
    "a listing of an owner begins": (_until(_OWNED, _BEGINS, "listings"), ANN_ASKS),
    "a share begins": (_until(_OWNED, _BEGINS, "stakes"), ANN_ASKS),
    "a US status ends": (_until(ANN_AT_WORK, _ENDS, "us_statuses"), replace(_RELEASE, model="techdata:usml")),
    "a citizenship begins": (replace(_CANADIAN, citizenships=(*_CANADIAN.citizenships, _CHINESE)), _RELEASE),
    "a residency begins": (replace(_CANADIAN, permanent_residencies=(_IN_CHINA,)), _RELEASE),
    "a membership ends": (_until(_MEMBER, _ENDS, "memberships"), _CALLS_MYTHOS),
    "an employment ends": (_until(_MEMBER, _ENDS, "employments"), _CALLS_MYTHOS),
    "a licence ends": (_until(_LICENSED, _ENDS, "authorisations"), _TO_JAPAN),
    "somebody takes the last place of a licence": (
        replace(_LICENSED, draws=(Draw(authorisation="L", person="ben", at=QUIET + _SOON),)),
        _TO_JAPAN,
    ),
    "a statement ends": (replace(ANN_AT_WORK, statements=(_CONSIGNEE,)), replace(_TO_JAPAN, exception="STA")),
    "a cluster is read again": (replace(_IN_CLUSTER, clusters=(_READING,)), _TO_KEY),
    "the reading of a cluster is too old": (replace(_IN_CLUSTER, clusters=(_OLD_READING,)), _TO_KEY),
    "another becomes the ultimate parent": (
        _IN_PARENT,
        replace(_TO_JAPAN, model="weights:4E091", exception="AIA"),
    ),
}


@pytest.mark.parametrize("change", sorted(_CHANGES))
def test_an_allow_ends_when_a_fact_that_it_rests_on_changes(change: str) -> None:
    rows, request = _CHANGES[change]
    asked = replace(ask(rows, request), book=judge_for({"AI-DIFFUSION-4E091": "enforced"}, None).book)
    # A reading of exactly 24 hours is not older than that.
    edge = QUIET + _SOON + (MICROSECOND if "too old" in change else timedelta(0))
    told = answered(asked)
    assert told.verdict.allowed
    assert told.decision.valid_until == edge
    assert allows(replace(asked, at=edge - MICROSECOND))
    assert not allows(replace(asked, at=edge))


def test_an_allow_ends_when_an_order_comes_into_force() -> None:
    ordered = instant("2026-06-12T21:21:00Z")
    asked = ask(_CANADIAN, replace(ANN_ASKS, model="fable-5"), ordered - _SOON)
    told = answered(asked)
    assert told.verdict.allowed
    assert told.decision.valid_until == ordered
    assert not allows(replace(asked, at=ordered))


# --- 10: a running service --------------------------------------------------------------------------------------------


def test_a_running_service_bars_affiliates_again_when_the_suspension_ends(migrated: Path, tmp_path: Path) -> None:
    ends = instant("2026-11-10T05:00:00Z")
    rows = replace(
        ANN_AT_WORK,
        organisations=(an_organisation("works", "JP"), an_organisation("listed", "SG")),
        stakes=(Stake(owner="listed", owned="works", percent=Decimal(50)),),
        listings=(a_confirmed("listed", "EL"),),
    )
    document = {
        "subject": {"type": "person", "id": "ann"},
        "model": "opus-4.6",
        "action": "infer",
        "place": {"country": "JP"},
    }
    with serving(copied(migrated, tmp_path), rows, at=ends - timedelta(seconds=10)) as service:
        headers = service.key()

        def states() -> tuple[str, str, str]:
            told = service.decide(document, headers).json()
            (state,) = (one["state"] for one in told["findings"] if one["rule"] == "BIS-AFFILIATES")
            return told["decision"], state, told["valid_until"]

        assert states() == ("allow", "suspended", format_instant(ends))
        service.now[0] = ends - MICROSECOND
        assert states() == ("allow", "suspended", format_instant(ends))
        service.now[0] = ends
        assert states() == ("deny", "deciding", format_instant(ends))


# --- 11: a file that contradicts itself -------------------------------------------------------------------------------

_TWO_STATUSES: Final = replace(
    ANN_AT_WORK,
    us_statuses=(
        UsStatus(person="ann", kind=UsStatusKind.CITIZEN),
        UsStatus(person="ann", kind=UsStatusKind.NONE, valid=Validity(start=instant("2026-01-01T00:00:00Z"))),
    ),
    accounts=(
        Account(
            id="key",
            kind=AccountKind.ACCOUNT,
            organisation="works",
            person="ann",
            gateway="main",
            cluster=None,
        ),
    ),
)
_ORDERED: Final = instant("2026-06-13T12:00:00Z")
_AS_CITIZEN: Final = Subject(
    type=SubjectType.PERSON,
    id="ann",
    properties=(Assertion(name="us_status", values=("citizen",), is_list=False),),
)


@pytest.mark.parametrize(
    ("request_", "at"),
    [
        (replace(ANN_ASKS, model="fable-5"), _ORDERED),
        (replace(ANN_ASKS, model="fable-5", subject=_KEY), _ORDERED),
        (
            replace(
                ANN_ASKS, model="fable-5", subject=Subject(type=SubjectType.ORGANISATION, id="works"), end_user=_KEY
            ),
            _ORDERED,
        ),
        (replace(ANN_ASKS, model="techdata:usml", action=Action.RELEASE), QUIET),
        (replace(ANN_ASKS, model="technology:4E001.a", action=Action.RELEASE), QUIET),
        (replace(ANN_ASKS, model="fable-5", subject=_AS_CITIZEN), _ORDERED),
        (replace(ANN_ASKS, subject=_AS_CITIZEN), QUIET),
        (replace(ANN_ASKS, end_user=_AS_CITIZEN), QUIET),
    ],
    ids=["order", "order by account", "order by end user", "itar", "ear", "order, asserted", "asserted", "end user"],
)
def test_two_us_statuses_at_once_are_an_engine_fault_and_never_an_allow(request_: Request, at: datetime) -> None:
    caller = Caller(id="caller", assertable=frozenset({"us_status"}))
    asked = ask(_TWO_STATUSES, request_, at, caller)
    told = answered(asked)
    assert not told.verdict.allowed
    assert [(finding.rule, finding.codes) for finding in told.verdict.deciding] == [("ENGINE-FAULT", ("ENGINE_FAULT",))]
    assert told.decision.valid_until == at
    one = with_rows(asked, replace(asked.rows, us_statuses=asked.rows.us_statuses[:1]))
    assert verdict(one).reason_code != "ENGINE_FAULT"


# --- 12: two clocks ---------------------------------------------------------------------------------------------------

_RECORDED: Final = [instant(f"2026-0{month}-01T00:00:00Z") for month in (1, 2, 3)]


def _corrected(random: Random, row: Any, at: datetime) -> Any:
    """The row as it may be corrected later: the same key, and something else in it."""
    found: dict[type, dict[str, Any]] = {
        Membership: {"status": random.choice(list(MembershipStatus))},
        Stake: {"percent": random.choice([None, Decimal(0), Decimal(60)])},
        Listing: {"status": random.choice(list(ListingStatus))},
        Organisation: {"headquarters": random.choice(COUNTRIES)},
        PersonEntry: {"us_status_filed": some(random, 0.5)},
        Account: {"person": None},
    }
    change = found.get(type(row), {})
    if not change and hasattr(row, "valid"):
        change = {"valid": replace(row.valid, end=instant("2026-05-01T00:00:00Z"))}
    return replace(row, recorded_at=at, **change)


def recorded_over_time(random: Random, rows: RosterRows) -> RosterRows:
    """The rows as recorded one after another, some of them corrected later."""

    def over_time(row: Any) -> list[Any]:
        first = random.randint(0, 3)
        filed = [replace(row, recorded_at=None if first == 0 else _RECORDED[first - 1])]
        filed += [_corrected(random, row, at) for at in _RECORDED[first:] if some(random, 0.4)]
        return filed

    return RosterRows(
        **{
            column.name: tuple(one for row in getattr(rows, column.name) for one in over_time(row))
            for column in fields(RosterRows)
        }
    )


@settings(max_examples=200)
@given(RANDOMS)
def test_what_was_recorded_later_is_not_known_earlier(random: Random) -> None:
    asked = asked_of(world(random))
    rows = recorded_over_time(random, asked.rows)
    known_at = random.choice([edge + shift for edge in _RECORDED for shift in (-MICROSECOND, timedelta(0))])
    then = Roster.as_known(rows, known_at)
    written_then = Roster.as_known(known_by(rows, known_at))
    assert then == written_then
    assert both(answered(asked, roster=then)) == both(answered(asked, roster=written_then))
    recorded = {row.recorded_at for column in fields(RosterRows) for row in getattr(rows, column.name)}
    if any(at is not None and at > known_at for at in recorded):
        assert known_by(rows, known_at) != rows


def test_a_correction_is_known_from_the_instant_of_its_recording() -> None:
    filed, later = _RECORDED[0], _RECORDED[1]
    rows = replace(
        ANN_AT_WORK,
        listings=(
            replace(a_confirmed("works", "SDN"), status=ListingStatus.POTENTIAL, recorded_at=filed),
            replace(a_confirmed("works", "SDN"), recorded_at=later),
        ),
    )
    asked = ask(rows, ANN_ASKS)

    def codes(known_at: datetime) -> set[str]:
        told = answered(asked, roster=Roster.as_known(rows, known_at)).verdict
        return {code for finding in told.deciding for code in finding.codes}

    assert codes(filed - MICROSECOND) == {"COMMODITY_OK"}
    assert codes(filed) == {"LISTED_PARTY_UNRESOLVED"}
    assert codes(later - MICROSECOND) == {"LISTED_PARTY_UNRESOLVED"}
    assert codes(later) == {"LISTED_PARTY"}
