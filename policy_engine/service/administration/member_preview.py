"""Who gains or loses which model by rows of the members: found by deciding, with the judge and without a record.

For everybody whom the rows touch and every model, one ordinary request is judged on the members as they are and as they
will be, now and at the next instants at which one of the rows begins or ends. Place and purpose are those that the
subject stated last, as far as the log has them; else they are assumed: the place is where the organisation has its
headquarters, the purpose the first one that the model declares.

Touched are the persons, accounts and organisations that a row names, everybody who acts for an organisation that one
names, and everybody who acts for an organisation that one of those owns, through however many others. As many of them
are judged as there is room for; how many were not is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_engine.decision.conclude import conclude_alone
from policy_engine.domain.catalogue import Entry, ItemKind
from policy_engine.domain.instants import Validity
from policy_engine.domain.request import Action, Caller, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import PERSON_PREFIX, Roster, RosterRows
from policy_engine.formats.roster_rows import each_row
from policy_engine.policy.judge import Judge

MOST_JUDGED: Final = 3_000
"""Requests that one preview judges, each on the members before and after."""

MOST_INSTANTS: Final = 3

AskedLast = Callable[[Subject], Sequence[Request]]
"""The last requests of a subject on record, newest first; empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChange:
    """A subject, acting for an organisation, that gains or loses a model from an instant on.

    `rule` and `code` are the reason of the answer that it gets then; `assumed` names what was assumed of its request.
    """

    subject: str
    organisation: str | None
    model: str
    at: datetime
    rule: str
    code: str
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChanges:
    """Whom the rows touch, how many of these were judged, and who gains or loses what."""

    touched: int
    judged: int
    instants: tuple[datetime, ...]
    gained: tuple[AccessChange, ...]
    lost: tuple[AccessChange, ...]

    @property
    def left_out(self) -> int:
        """How many are touched and were not judged."""
        return self.touched - self.judged


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Asker:
    """A subject acting for an organisation; those that a row names come before those that an organisation brings."""

    rank: int
    kind: str
    name: str
    organisation: str
    gateway: str


def effects_of(
    before: Roster,
    after: Roster,
    rows: RosterRows,
    *,
    judge_at: Callable[[datetime], Judge | None],
    asked_last: AskedLast,
    at: datetime,
) -> AccessChanges:
    """Who gains or loses which model by the rows."""
    askers = sorted(set(_touched(before, rows)) | set(_touched(after, rows)))
    instants = (at, *_edges(rows, at)[:MOST_INSTANTS])
    judges = [(instant, judge) for instant in instants if (judge := judge_at(instant)) is not None]
    models = max((len(_models(judge)) for _, judge in judges), default=1)
    chosen = askers[: max(1, MOST_JUDGED // (models * max(1, len(judges))))]
    gained: list[AccessChange] = []
    lost: list[AccessChange] = []
    for asker in chosen:
        subject = Subject(type=SubjectType(asker.kind), id=asker.name)
        asked = asked_last(subject)
        seen: set[tuple[str, bool]] = set()
        for instant, judge in judges:
            for entry in _models(judge):
                request, assumed = _ordinary(after, subject, asker.organisation or None, asked, entry)
                caller = Caller(id="", gateway=asker.gateway or None)
                was = conclude_alone(request, caller, judge, before, instant).verdict
                is_now = conclude_alone(request, caller, judge, after, instant).verdict
                if was.allowed is is_now.allowed or (entry.id, is_now.allowed) in seen:
                    continue
                seen.add((entry.id, is_now.allowed))
                effect = AccessChange(
                    subject=f"{asker.kind}:{asker.name}",
                    organisation=asker.organisation or None,
                    model=entry.id,
                    at=instant,
                    rule=is_now.reason.rule,
                    code=is_now.reason_code,
                    assumed=assumed,
                )
                (gained if is_now.allowed else lost).append(effect)
    return AccessChanges(
        touched=len(askers), judged=len(chosen), instants=instants, gained=tuple(gained), lost=tuple(lost)
    )


def _models(judge: Judge) -> list[Entry]:
    entries = judge.book.tables.catalogue.entries
    return [entry for _, entry in sorted(entries.items()) if entry.kind is ItemKind.MODEL]


def _edges(rows: RosterRows, at: datetime) -> list[datetime]:
    """The instants after `at` at which a row begins or ends."""
    edges: set[datetime] = set()
    for row in each_row(rows):
        valid = getattr(row, "valid", None)
        if isinstance(valid, Validity):
            edges |= {edge for edge in (valid.start, valid.end) if edge is not None and edge > at}
    return sorted(edges)


_ORGANISATIONS: Final = ("organisation", "holder", "owned", "owner", "party")


def _named(rows: RosterRows) -> tuple[set[str], set[str], set[str], set[str]]:
    """The organisations, persons, accounts and clusters that the rows name."""
    organisations, persons = {row.id for row in rows.organisations}, {row.id for row in rows.people}
    for row in each_row(rows):
        for field in _ORGANISATIONS:
            name = getattr(row, field, None)
            if isinstance(name, str):
                is_person = name.startswith(PERSON_PREFIX)
                (persons if is_person else organisations).add(name.removeprefix(PERSON_PREFIX))
        person = getattr(row, "person", None)
        if isinstance(person, str):
            persons.add(person)
    # A person's employer is touched by the person alone, and an account's organisation by the account alone.
    kept = organisations - _only_employers(rows)
    return kept, persons, {row.id for row in rows.accounts}, {row.id for row in rows.clusters}


def _only_employers(rows: RosterRows) -> set[str]:
    employers = {row.organisation for row in rows.employments} | {row.organisation for row in rows.accounts}
    named = {row.id for row in rows.organisations}
    named |= {row.organisation for row in rows.memberships} | {row.organisation for row in rows.statements}
    named |= {row.holder for row in rows.authorisations} | {row.party for row in rows.listings}
    named |= {name for row in rows.stakes for name in (row.owner, row.owned)}
    return employers - named


def _touched(roster: Roster, rows: RosterRows) -> Iterator[_Asker]:
    organisations, persons, accounts, clusters = _named(rows)
    below = _owned_by(roster, {*organisations, *(f"{PERSON_PREFIX}{person}" for person in persons)})
    reached = organisations | below
    for name in organisations & roster.organisations.keys():
        yield _Asker(rank=0, kind=SubjectType.ORGANISATION.value, name=name, organisation=name, gateway="")
    for name, person in roster.people.items():
        employers = {row.organisation for row in person.employments or ()}
        for employer in employers if name in persons else employers & reached:
            rank = 0 if name in persons else 1
            yield _Asker(rank=rank, kind=SubjectType.PERSON.value, name=name, organisation=employer, gateway="")
        if name in persons and not employers:
            yield _Asker(rank=0, kind=SubjectType.PERSON.value, name=name, organisation="", gateway="")
    for name, account in roster.accounts.items():
        named = name in accounts or account.person in persons or account.cluster in clusters
        if named or account.organisation in reached:
            yield _Asker(
                rank=0 if named else 1,
                kind=account.kind.value,
                name=name,
                organisation=account.organisation,
                gateway=account.gateway or "",
            )


def _owned_by(roster: Roster, owners: Iterable[str]) -> set[str]:
    """Everything that is owned by one of the owners, through however many others."""
    of: defaultdict[str, set[str]] = defaultdict(set)
    for owned, stakes in roster.owners.items():
        for stake in stakes:
            of[stake.owner].add(owned)
    found: set[str] = set()
    waiting = list(owners)
    while waiting:
        for owned in of[waiting.pop()] - found:
            found.add(owned)
            waiting.append(owned)
    return found


def _ordinary(
    roster: Roster, subject: Subject, organisation: str | None, asked: Sequence[Request], entry: Entry
) -> tuple[Request, tuple[str, ...]]:
    """An ordinary request for a model, and what is assumed in it."""
    assumed: list[str] = []
    filed = None if organisation is None else roster.organisations.get(organisation)
    place = asked[0].place if asked else Place(country=None if filed is None else filed.headquarters)
    if not asked:
        assumed.append(f"place {place.country or 'unknown'}")
    purpose = next((one.purpose for one in asked if one.model == entry.id), None)
    if purpose is None and entry.purposes:
        purpose = entry.purposes[0]
        assumed.append(f"purpose {purpose}")
    acting_for = organisation if subject.type is SubjectType.PERSON else None
    request = Request(
        subject=subject, model=entry.id, action=Action.INFER, acting_for=acting_for, purpose=purpose, place=place
    )
    return request, tuple(assumed)
