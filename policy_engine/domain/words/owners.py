"""Words about ownership: what the tests of parameters.yaml say of an organisation."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Final

from policy_engine.domain import logic
from policy_engine.domain.facts import Edition, Party
from policy_engine.domain.instants import Validity
from policy_engine.domain.logic import NO, YES, Answer, Tri, unknown, yes
from policy_engine.domain.ownership import Capture, Holding, Seed, capture, ultimate_parent
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Listing,
    Organisation,
    Roster,
)
from policy_engine.domain.rules import Book, OwnershipRule
from policy_engine.domain.tangles import Solution
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import Dimensions, by_book, by_parameter, countries, tokens
from policy_engine.domain.words.groups import places_in
from policy_engine.domain.words.items import classified_as
from policy_engine.domain.words.lists import confirmed, unsettled
from policy_engine.domain.words.memory import recall
from policy_engine.domain.words.organisations import established_in, host_of
from policy_engine.domain.words.places import in_the_us
from policy_engine.domain.words.word import HOUSE, PLAIN, Clause, Fact, ItemPart, Looks, own, word


@dataclass(slots=True)
class Window:
    """The time around an instant in which nothing that was read changes: `[start, end)`."""

    at: datetime
    start: datetime | None = None
    end: datetime | None = None

    def note(self, validity: Validity) -> bool:
        """Whether the interval holds at the instant, with the window narrowed to where that stays so."""
        for edge in (validity.start, validity.end):
            if edge is None:
                continue
            if edge <= self.at:
                self.start = edge if self.start is None else max(self.start, edge)
            else:
                self.end = edge if self.end is None else min(self.end, edge)
        return validity.holds(self.at)

    def narrow(self, other: Window) -> None:
        """Stay within another window around the same instant."""
        if other.start is not None and (self.start is None or self.start < other.start):
            self.start = other.start
        if other.end is not None and (self.end is None or other.end < self.end):
            self.end = other.end

    def holds(self, at: datetime) -> bool:
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The ownership facts of one organisation under one test, and the lists of the owners that count.

    `doubts` has the lists on which an owner may be, since a match waits for a person; no owner that counts for sure.
    """

    capture: Capture
    lists: tuple[tuple[str, tuple[str, ...]], ...]
    doubts: tuple[tuple[str, tuple[str, ...]], ...] = ()


MEMO_LIMIT: Final = 200_000


def measure(party: Party, name: str, organisation: Organisation) -> Measured:
    question = party.question
    key = ("ownership", question.book.fingerprint, name, organisation.id, question.edition >= Edition.DOUBTS)
    held = question.roster.memo.get(key)
    if isinstance(held, tuple) and held[0].holds(question.at):
        question.horizon.note(held[0].end)
        measured: Measured = held[1]
        return measured
    window = Window(question.at)
    rule = question.tables.ownership[name]
    programmes = question.tables.programmes.get(name, {})
    inside: dict[str, bool] = {}
    asked = ("tangle", question.book.fingerprint, name, question.edition.name)
    with _Tangles(question.roster, asked, window) as tangles:
        result = capture(
            organisation.id,
            lambda owned: holdings(party, owned, window),
            lambda owner: seed(party, owner, rule, programmes, window, inside),
            rule.test,
            solved=tangles,
        )

    def on(owner: str, which: Callable[[Listing], bool]) -> tuple[str, tuple[str, ...]]:
        return owner, lists_of(party, owner, rule.listed, programmes, window, which=which)

    lists = tuple(on(owner, confirmed) for owner in result.owners)
    doubted = result.owners if result.possibly and not result.surely else ()
    doubts = tuple(one for owner in doubted if (one := on(owner, unsettled))[1])
    measured = Measured(capture=result, lists=lists, doubts=doubts)
    remember(question.roster, key, (window, measured))
    question.horizon.note(window.end)
    return measured


class _Tangles:
    """Solutions of tangles, kept on the roster for all who ask about a company below one, under one test of one book.

    What stands above a tangle was read before it is solved, so that the window of whoever keeps it bounds it.
    """

    def __init__(self, roster: Roster, question: tuple[str, ...], window: Window) -> None:
        self.roster = roster
        self.question = question
        self.window = window
        self.has_turn = False

    def __enter__(self) -> _Tangles:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def get(self, key: tuple[bool, tuple[str, ...]]) -> Solution | None:
        """The solution, where one is kept; where none is, whoever asks next waits until this one keeps its own."""
        known = self._known(key)
        if known is None and not self.has_turn:
            self.roster.turn.__enter__()
            self.has_turn = True
            known = self._known(key)
            if known is not None:
                self._leave()
        return known

    def keep(self, key: tuple[bool, tuple[str, ...]], solution: Solution) -> None:
        remember(self.roster, (*self.question, *key), (replace(self.window), solution))
        self._leave()

    def _known(self, key: tuple[bool, tuple[str, ...]]) -> Solution | None:
        held = self.roster.memo.get((*self.question, *key))
        if isinstance(held, tuple) and held[0].holds(self.window.at):
            solution: Solution = held[1]
            return solution
        return None

    def _leave(self) -> None:
        if self.has_turn:
            self.has_turn = False
            self.roster.turn.__exit__(None, None, None)


def remember(roster: Roster, key: Hashable, value: object) -> None:
    if len(roster.memo) >= MEMO_LIMIT:
        roster.memo.clear()
    roster.memo[key] = value


def holdings(party: Party, owned: str, window: Window) -> tuple[Holding, ...]:
    """The shares in force in an organisation; what was made of its rows serves every test and every question."""
    roster = party.question.roster
    rows = roster.owners.get(owned)
    if rows is None:
        return ()
    key = ("holdings", owned)
    held = roster.memo.get(key)
    if isinstance(held, tuple) and held[0].holds(window.at):
        window.narrow(held[0])
        known: tuple[Holding, ...] = held[1]
        return known
    own = Window(window.at)
    shares = tuple(
        Holding(owner=row.owner, percent=row.percent, minimum=row.minimum, maximum=row.maximum)
        for row in rows
        if own.note(row.valid)
    )
    remember(roster, key, (own, shares))
    window.narrow(own)
    return shares


Programmes = Mapping[str, tuple[str, ...]]
"""By list, the programmes under which an owner counts; a list that is not there counts under every one."""

_PROGRAMME: Final = re.compile(r"[A-Z][A-Z0-9-]*")
_BETWEEN: Final = re.compile(r"[\[\];,]+")


def counts_under(row: Listing, programmes: Programmes) -> bool:
    """Whether the entry is under one of the programmes that count, or may be: where nobody filed its programmes, or
    what was filed names none, or one that is not spelt as programmes are, it counts."""
    wanted = programmes.get(row.list)
    filed = [name.strip() for text in row.programmes or () for name in _BETWEEN.split(text)]
    named = [name for name in filed if name]
    return wanted is None or not named or any(name in wanted or not _PROGRAMME.fullmatch(name) for name in named)


def lists_of(
    party: Party,
    owner: str,
    lists: tuple[str, ...],
    programmes: Programmes,
    window: Window,
    *,
    which: Callable[[Listing], bool] = confirmed,
) -> tuple[str, ...]:
    """The lists on which the owner is, by entries that count and are such as asked for: confirmed, or unsettled."""
    rows = party.question.roster.listings.get(owner)
    if rows is None or (which is unsettled and party.question.edition < Edition.DOUBTS):
        return ()
    held = [row for row in rows if row.list in lists and window.note(row.valid)]
    return tuple(sorted({row.list for row in held if which(row) and counts_under(row, programmes)}))


def seed(
    party: Party, owner: str, rule: OwnershipRule, programmes: Programmes, window: Window, inside: dict[str, bool]
) -> Seed:
    """Whether the owner's shares count; `inside` remembers which headquarters are in the rule's group."""
    if rule.listed:
        if lists_of(party, owner, rule.listed, programmes, window):
            return Seed.YES
        return Seed.UNKNOWN if lists_of(party, owner, rule.listed, programmes, window, which=unsettled) else Seed.NO
    if owner.startswith(PERSON_PREFIX):
        return Seed.NO
    organisation = party.question.roster.organisations.get(owner)
    if organisation is None or organisation.headquarters is None:
        return Seed.UNKNOWN
    country = organisation.headquarters
    found = inside.get(country)
    if found is None:
        group = rule.headquartered_in or rule.headquartered_outside or ""
        times = party.question.tables.places.times_in(country, group, party.question.at)
        in_force = [window.note(valid) for valid in times]
        found = inside[country] = any(in_force)
    return Seed.YES if found == (rule.headquartered_in is not None) else Seed.NO


def reaches_item(party: Party, rule: OwnershipRule, measured: Measured) -> Answer:
    """Owners that are on the supplement's lists alone reach the supplement's items only."""
    beyond = any(not set(lists) <= set(rule.supplement_lists) for _, lists in (*measured.lists, *measured.doubts))
    if beyond or not rule.supplement_lists:
        return YES
    return classified_as(party, rule.supplement_eccn)


def own_establishment(party: Party, rule: OwnershipRule) -> Answer:
    if not rule.own_establishment or rule.headquartered_in is None:
        return NO
    return recall(party, established_in, rule.headquartered_in)


def percent(value: Fraction) -> str:
    """A percentage with at most six decimals, as it is told to people; the exact value decided."""
    text = f"{float(value):.6f}".rstrip("0").rstrip(".")
    return text or "0"


def capture_detail(measured: Measured) -> logic.Detail:
    capture = measured.capture
    detail: list[tuple[str, str | tuple[str, ...]]] = [
        ("owners", capture.owners),
        ("methods", capture.methods),
        ("direct_percent", format(capture.cascade_percent, "f")),
    ]
    if capture.look_through_percent:
        detail.append(("look_through_percent", percent(capture.look_through_percent)))
    detail.append(("path", tuple(f"{owner} > {owned}: {percent}" for owner, owned, percent in capture.steps)))
    lists = tuple(f"{owner}: {', '.join(names)}" for owner, names in measured.lists if names)
    if lists:
        detail.append(("lists", lists))
    doubts = tuple(f"{owner}: {', '.join(names)}" for owner, names in measured.doubts)
    if doubts:
        detail.append(("unsettled_matches", doubts))
    return tuple(detail)


def _ownership(test: str, book: Book) -> Dimensions:
    rule = book.tables.ownership[test]
    group = tokens(rule.headquartered_in, rule.headquartered_outside)
    owners: Dimensions = {
        dimensions.SHARE: None,
        dimensions.OWNER_HOME: group,
        dimensions.OWNER_LIST: frozenset((*rule.listed, *rule.supplement_lists)),
    }
    if not rule.own_establishment:
        return owners
    return {**owners, dimensions.INCORPORATED: group, dimensions.HEADQUARTERS: group}


def _captured(parameter: str, book: Book) -> Dimensions:
    return {**_ownership(parameter.partition("=")[2], book), dimensions.INCORPORATED: dimensions.US}


def _parent(parameter: str) -> Dimensions:
    named = tokens(parameter)
    return {
        dimensions.HEADQUARTERS: named,
        dimensions.SHARE: None,
        dimensions.OWNER_HOME: named,
        dimensions.OWNER_LIST: dimensions.NOTHING,
    }


# The owners stand in the detail of a finding, and the party's own establishment is asked by `established-in`.
_SHARES: Final = replace(PLAIN, item=ItemPart.SUPPLEMENT, dimensions=by_book(_ownership))
_HOME: Final = replace(
    _SHARES, facts=own(Fact.HEADQUARTERS), item=ItemPart.NOTHING, dimensions=countries(dimensions.HEADQUARTERS)
)
_PARENT: Final = replace(_HOME, dimensions=by_parameter(_parent))
_FIFTY_PERCENT: Final = Clause(
    what="shares of listed owners add up, and go down through every company that is captured; ownership and not"
    " control",
    source="31 CFR 587.406; OFAC FAQ 398 to 401; 90 FR 47201",
    checked=True,
)
_ULTIMATE_PARENT: Final = Clause(
    what="the ultimate parent is found upwards through whoever holds more than half",
    source="15 CFR 740.27, 772.1",
    checked=False,
)
_OWNERSHIP: Final = ("ownership",)
_PARTY: Final = ("party",)


@word(_OWNERSHIP, parameters.OWNERSHIP_TEST, _SHARES, _FIFTY_PERCENT, example="owned:ofac-50")
def owned(party: Party, parameter: str) -> Answer:
    """The organisation is captured under the ownership test on what is known."""
    if party.organisation is None:
        return NO
    rule = party.question.tables.ownership[parameter]
    own = own_establishment(party, rule)
    if own.value is Tri.YES:
        return own
    measured = measure(party, parameter, party.organisation)
    if not measured.capture.surely:
        return NO
    return logic.all_of((Answer(value=Tri.YES, detail=capture_detail(measured)), reaches_item(party, rule, measured)))


@word(_OWNERSHIP, parameters.OWNERSHIP_TEST, _SHARES, _FIFTY_PERCENT, example="owned-unresolved:ofac-50")
def owned_unresolved(party: Party, parameter: str) -> Answer:
    """The organisation is not captured on what is known, and would be if every unknown were at its worst; a possible
    match of an owner with a list that no person has settled is such an unknown."""
    if party.organisation is None or recall(party, owned, parameter).value is Tri.YES:
        return NO
    rule = party.question.tables.ownership[parameter]
    own = own_establishment(party, rule)
    missing = list(own.missing)
    measured = measure(party, parameter, party.organisation)
    capture = measured.capture
    reached = reaches_item(party, rule, measured).value is not Tri.NO
    possible = capture.possibly and not capture.surely and reached
    if possible:
        missing += [f"ownership.share:{owner}>{owned}" for owner, owned in capture.unknown_shares]
        if capture.unknown_seeds and not rule.listed:
            missing.append("organisation.headquarters")
        elif capture.unknown_seeds:
            missing += [f"listing:{owner}" for owner in capture.unknown_seeds]
        missing += [f"ownership.tangle:{company}" for company in capture.unsolved]
    if not possible and own.value is not Tri.UNKNOWN:
        return NO
    return Answer(
        value=Tri.UNKNOWN,
        missing=tuple(missing) or ("ownership",),
        detail=capture_detail(measured) if possible else (),
    )


@word(_OWNERSHIP, parameters.OWNERSHIP_TEST, _SHARES, _FIFTY_PERCENT, example="owned-minority:ofac-50")
def owned_minority(party: Party, parameter: str) -> Answer:
    """Owners that count hold a share that does not capture."""
    if party.organisation is None:
        return NO
    measured = measure(party, parameter, party.organisation)
    if not measured.capture.minority:
        return NO
    return Answer(value=Tri.YES, detail=capture_detail(measured))


@word(
    _OWNERSHIP,
    parameters.RULE_AND_TEST,
    replace(_SHARES, looks=Looks.AT_ROWS_ENFORCED, facts=own(Fact.INCORPORATED), dimensions=by_book(_captured)),
    _FIFTY_PERCENT,
    example="!captured-under:BIS-AFFILIATES=bis-affiliates",
)
def captured_under(party: Party, parameter: str) -> Answer:
    """The organisation acting or the host is captured by the test while the rule is enforced and in force.

    The parameter is rule=test.
    """
    rule_id, _, test = parameter.partition("=")
    row = party.question.book.row(rule_id)
    if row is not None:
        party.question.horizon.note(row.next_change(party.question.at))
    if rule_id not in party.question.enforced:
        return NO
    captured = [
        measure(party, test, organisation).capture
        for organisation in (party.acting, host_of(party))
        if organisation is not None and not _american(party, organisation)
    ]
    if any(one.surely for one in captured):
        return YES
    return unknown("ownership") if any(one.possibly for one in captured) else NO


def _american(party: Party, organisation: Organisation) -> bool:
    incorporated = organisation.incorporated
    return incorporated is not None and in_the_us(party, incorporated)


def _top(party: Party, organisation: Organisation) -> Organisation | Answer:
    """The ultimate parent of the organisation, itself where nobody holds more than half of it; or why it is unknown."""
    window = Window(party.question.at)
    parent = ultimate_parent(organisation.id, lambda owned: holdings(party, owned, window))
    party.question.horizon.note(window.end)
    if parent.organisation is None:
        return unknown(*(f"ownership.share:{owner}>{owned}" for owner, owned in parent.missing))
    if parent.organisation == organisation.id:
        return organisation
    return party.question.roster.organisations.get(parent.organisation) or unknown("organisation.headquarters")


@word(
    _PARTY, parameters.PLACES, _PARENT, _ULTIMATE_PARENT, example="parent-headquartered-in:EAR:US,EAR:AIA-Supp5-740(a)"
)
def parent_headquartered_in(party: Party, parameter: str) -> Answer:
    """The receiving organisation (the host, else the one acting) and its ultimate parent are headquartered in one of
    these."""
    receiver = host_of(party) or party.acting
    if receiver is None:
        return NO
    top = _top(party, receiver)
    if isinstance(top, Answer):
        return top
    if receiver.headquarters is None or top.headquarters is None:
        return unknown("organisation.headquarters")
    countries = receiver.headquarters, top.headquarters
    inside = all(places_in(party, (country,), parameter) for country in countries)
    return yes(("ultimate_parent", top.id)) if inside else NO


@word(_PARTY, parameters.PLACES, _HOME, HOUSE, example="headquartered-in:EAR:MACAU_OR_D5")
def headquartered_in(party: Party, parameter: str) -> Answer:
    """The organisation judged is headquartered in one of these."""
    if party.organisation is None:
        return NO
    headquarters = party.organisation.headquarters
    if headquarters is None:
        return unknown("organisation.headquarters")
    return yes(("headquarters", headquarters)) if places_in(party, (headquarters,), parameter) else NO


@word(_PARTY, parameters.PLACES, _PARENT, _ULTIMATE_PARENT, example="ultimate-parent-in:EAR:MACAU_OR_D5")
def ultimate_parent_in(party: Party, parameter: str) -> Answer:
    """The ultimate parent of the organisation judged, itself where it has none, is headquartered in one of these."""
    if party.organisation is None:
        return NO
    top = _top(party, party.organisation)
    if isinstance(top, Answer):
        return top
    if top.headquarters is None:
        return unknown("organisation.headquarters")
    inside = places_in(party, (top.headquarters,), parameter)
    return yes(("ultimate_parent", top.id), ("headquarters", top.headquarters)) if inside else NO
