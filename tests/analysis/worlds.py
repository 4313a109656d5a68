"""Small books drawn at random, slices of the declared world small enough to ask the engine about, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import product
from random import Random
from typing import Final

from policy_engine.analysis.dimensions import Profile
from policy_engine.analysis.symbolic import FAULT, NO_SUCH_MODEL, ReasonedAnswer, SymbolicBooks, answer_of
from policy_engine.domain.facts import derive
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Action
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import Book
from policy_engine.policy.judge import JudgingError
from policy_engine.policy.reader import read_book
from tests.policy.books import BAR, GRANT, NOTE, book, sheet

AT: Final = parse_instant("2026-06-01T12:00:00Z")
MODELS: Final = ("alpha-1", "technology:4E001.a", NO_SUCH_MODEL)

PARTIES: Final = (
    "foreign-person",
    "us-person",
    "foreign-organisation",
    "no-organisation",
    "employee",
    "own-staff & acts-for-vendor",
    "member:circle",
    "membership-ended:circle | membership-suspended:circle",
    "sector:other",
    "reseller",
    "established-in:EAR:D:5",
    "deemed-covered",
    "deemed-within:US,EAR:D:5",
    "itar-national:EAR:D:5",
    "statement:uvl",
    "organisation:alder-bank",
    "gateway:main",
    "pattern:distillation",
    "assertion-conflict",
)
PLACES: Final = ("located-in:CU", "located-in:EAR:E:1,CU", "receives-in:EAR:D:5", "receives-abroad", "in-part:UA")
OTHERS: Final = (
    ("ownership", "owned:half"),
    ("ownership", "owned-unresolved:half"),
    ("listing", "listed:SDN"),
    ("listing", "any-listed:EL,SDN"),
    ("listing", "listing-potential:EL"),
    ("purpose", "purpose:research"),
    ("purpose", "!purpose-stated"),
    ("authorisation", "!holds:vendor/licence"),
    ("authorisation", "holds:any/licence"),
    ("authorisation", "authorisation-ended:vendor/licence"),
)
OF_THE_ITEM: Final = (
    {"item": "tier:commodity"},
    {"item": "tier:commodity & in-catalogue"},
    {"item": "!in-catalogue | published"},
    {"item": "!eccn-on-file"},
    {"place": "unsupported-place:UA"},
    {"place": "column-destination"},
    {"purpose": "purpose-permitted"},
    {"listing": "military:744.21"},
    {"party": "on-file & acts-for-vendor"},
    {"party": "on-file & deemed-covered"},
    {"authorisation": "!holds:vendor/licence"},
    {"unless": "weights-determined"},
)
"""What asks about the item in a row that is judged where there is none, since it asks who is on file."""
DATES: Final = ("", "", "2026-03-01", "2026-06-01T12:00:00Z")


def _words(random: Random, words: tuple[str, ...]) -> str:
    chosen = []
    for word in random.sample(words, random.choice((1, 1, 2))):
        known = "known " if random.random() < 0.2 else ""
        negated = "!" if random.random() < 0.25 else ""
        chosen.append(f"{known}{negated}{word}" if "&" not in word else word)
    return random.choice((" | ", " & ")).join(chosen)


def _row(random: Random, number: int, template: Mapping[str, str]) -> dict[str, str]:
    row = {**template, "id": f"{template['effect'].upper()}-{number}", "place": "", "item": "", "authorisation": ""}
    row["regime"] = "vendor"
    row["action"] = random.choice(("", "infer", "infer | release", "!list"))
    if row["effect"] == "permit":
        row["item"] = random.choice(("tier:commodity", "kind:model | kind:technology", "published", "!published"))
    if random.random() < 0.7:
        row["party"] = _words(random, PARTIES)
    if random.random() < 0.4:
        row["place"] = _words(random, PLACES)
    row |= dict(random.sample(OTHERS, random.choice((0, 1, 1))))
    if random.random() < 0.02:
        row["listing"] = "military:744.21"
    if not any(
        row.get(facet) for facet in ("item", "party", "place", "ownership", "listing", "purpose", "authorisation")
    ):
        row["party"] = "foreign-person"
    row["from"] = random.choice(DATES)
    row["enforcement"] = "advisory" if random.random() < 0.1 else ""
    if row["effect"] == "deny":
        row["hold"] = random.choice(("", "", "yes"))
        row["unless"] = random.choice(("", "", "PAPERS", "statement:uvl & us-person", "PAPERS | member:circle"))
        row["codes"] = random.choice(
            ("REGION_UNSUPPORTED", "FOREIGN_PERSON; LOCATION_UNKNOWN if unknown located-in:CU", "LISTED_PARTY")
        )
    return row


def rows(random: Random) -> list[dict[str, str]]:
    """The rows of a random book: one note that may lift, up to two grants, up to four bars."""
    found = [_row(random, number, GRANT) for number in range(random.choice((1, 2)))]
    found += [_row(random, number, BAR) for number in range(random.randint(1, 4))]
    gates = [{**BAR, "id": "KNOWN", "place": "", "party": "!on-file", "codes": "SUBJECT_UNKNOWN"}]
    gated = {**BAR, "id": "GATED", "action": "", "place": "", "party": "on-file", **random.choice(OF_THE_ITEM)}
    if random.random() < 0.5:
        gates.append(gated)
    return [dict(NOTE), *found, *(gates if random.random() < 0.5 else ())]


def changed(random: Random, before: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows with one or two of them dropped, drawn anew or changed in one cell."""
    after = [dict(row) for row in before]
    for _ in range(random.choice((1, 1, 2))):
        place = random.choice([index for index, row in enumerate(after) if "-" in row["id"]])
        row = after[place]
        template = GRANT if row["effect"] == "permit" else BAR
        drawn = _row(random, int(row["id"].rpartition("-")[2]), template)
        match random.choice(("drop", "anew", "cell", "cell", "cell")):
            case "drop" if sum("-" in one["id"] for one in after) > 1:
                del after[place]
            case "anew":
                after[place] = drawn
            case _:
                cell = random.choice(("party", "place", "hold", "unless", "codes", "enforcement", "from", "action"))
                row[cell] = drawn.get(cell, "")
    return after


def read(*drawn: list[dict[str, str]]) -> tuple[Book, ...]:
    """The books with these rows."""
    return tuple(read_book(book(rules=sheet(*one))) for one in drawn)


def asked_of_engine(
    symbolic: SymbolicBooks, number: int, profile: Profile, model: str, action: Action, at: datetime
) -> ReasonedAnswer:
    """What the engine answers to the facts that a profile stands for."""
    facts = symbolic.facts(number, profile, model, action, at)
    judge = symbolic.judge(number)
    try:
        verdict = judge.verdict(derive(facts.request, Roster.as_known(facts.rows), judge.book, facts.caller, at))
    except JudgingError:
        return FAULT
    return answer_of(verdict)


def any_profile(symbolic: SymbolicBooks, random: Random) -> dict[str, str]:
    """A possible profile, ordinary on a random share of its axes."""
    domain = symbolic.domain
    profile: dict[str, str] = {}
    ordinary = random.random()
    for axis in domain.axes:
        fitting = [value for value in axis.values if domain.fits(axis.name, value, profile)]
        profile[axis.name] = fitting[0] if random.random() < ordinary else random.choice(fitting)
    return profile


def around(symbolic: SymbolicBooks, centre: Mapping[str, str], random: Random, most: int) -> Iterator[dict[str, str]]:
    """Every possible profile that differs from this one on a few random axes at most: a whole product of values."""
    domain = symbolic.domain
    free: list[str] = []
    count = 1
    for axis in random.sample(domain.axes, len(domain.axes)):
        if count * len(axis.values) <= most:
            count *= len(axis.values)
            free.append(axis.name)
    values = [axis.values if axis.name in free else (centre[axis.name],) for axis in domain.axes]
    for chosen in product(*values):
        profile = {axis.name: value for axis, value in zip(domain.axes, chosen, strict=True)}
        if domain.possible(profile):
            yield profile
