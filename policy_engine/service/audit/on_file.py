"""Decisions by what was on file about whoever was judged: `citizenship:CN`, whether or not a rule read it.

The members are asked as each decision knew them: the rows up to the membership revision in its record, read at its own
instant. So a citizenship that was recorded or taken back afterwards changes nothing that is found, nor does a rule.

Of a decision these are asked about: persons who were its subject or end user, themselves or through an account or
service that stood for them; organisations that were judged, acted for, or named as host. A record without a request
says of nobody, and is never found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_engine.domain.changes import Actor, MembersAsked
from policy_engine.domain.in_force import memberships_in_force
from policy_engine.domain.instants import Validity
from policy_engine.domain.ports import DeskLog, NewEvent
from policy_engine.domain.request import SubjectType
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Account,
    Listing,
    ListingStatus,
    Membership,
    Organisation,
    PersonEntry,
    Recorded,
    UsStatusKind,
    latest_known,
)
from policy_engine.formats.faults import near_miss, one_of, quoted
from policy_engine.formats.identifiers import country_fault, identifier_fault, shown
from policy_engine.formats.record_reader import RecordedDecision, RecordFault, read_record
from policy_engine.formats.request_document import malformed
from policy_engine.shapes.member_rows import SECTIONS, Section, ValueKind
from policy_engine.store.decision_index import marks_of
from policy_engine.store.index_search import Among
from policy_engine.store.member_history import MemberHistory, Version

PARAMETER: Final = "on_file"
MOST_NAMED: Final = 10_000
"""Of so many candidates the index is asked by name; where there are more, every decision is looked at."""


def _status(text: str) -> str | None:
    statuses = tuple(kind.value for kind in UsStatusKind)
    return None if text in statuses else f"{quoted(shown(text))} is not a US status; {one_of(text, statuses)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFact:
    """A fact that can be asked: the kind of row and the column that say it, and an example of it.

    `holder` is the column that says of whom. `filed` is the flag of a person that the list was ever filed, where the
    fact is one of a person.
    """

    section: Section
    column: str
    example: str

    @property
    def rows(self) -> str:
        return self.section.rows

    @property
    def holder(self) -> str:
        return self.section.named_by[0]

    @property
    def filed(self) -> str | None:
        return f"{self.section.name}_filed" if self.section.personal else None

    @property
    def fault(self) -> Callable[[str], str | None]:
        """What is wrong with a value for it."""
        field = self.section.field(self.column)
        kinds = {ValueKind.COUNTRY: country_fault, ValueKind.WORD: _status}
        return identifier_fault if field is None else kinds.get(field.value, identifier_fault)


FACTS: Final[Mapping[str, AskedFact]] = {
    example.partition(":")[0]: AskedFact(section=SECTIONS[section], column=column, example=example)
    for section, column, example in (
        ("citizenships", "country", "citizenship:CN"),
        ("permanent_residencies", "country", "residency:US"),
        ("us_status", "kind", "us-status:none"),
        ("employments", "organisation", "employment:alder-bank"),
        ("memberships", "consortium", "membership:glasswing"),
        ("listings", "list", "listing:SDN"),
        ("organisations", "headquarters", "headquarters:CN"),
        ("organisations", "incorporated", "incorporated:CN"),
    )
}
"""What can be asked, by name. A membership is one in force, active or suspended; a listing one that is not cleared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFile:
    """A fact and its value, as they were asked."""

    name: str
    value: str

    @property
    def text(self) -> str:
        return f"{self.name}:{self.value}"

    @property
    def fact(self) -> AskedFact:
        return FACTS[self.name]


def read_on_file(text: str, field: str = PARAMETER) -> OnFile:
    """What is asked. Raises `MalformedRequest` naming the field."""
    name, separator, value = text.partition(":")
    fact = FACTS.get(name)
    examples = ", ".join(one.example for one in FACTS.values())
    if fact is None or not separator:
        near = near_miss(name, tuple(FACTS))
        meant = "" if near is None or fact is not None else f"; did you mean {quoted(FACTS[near].example)}?"
        raise malformed(field, f"is a fact and its value, such as {examples}{meant}")
    fault = fact.fault(value)
    if fault is not None:
        raise malformed(field, fault)
    return OnFile(name=name, value=value)


class MembersThen:
    """Whether a fact was on file about whoever a decision was about, as the decision knew it.

    It holds the rows of everybody of whom the fact was ever recorded, and of the accounts that ever stood for them.
    Raises `MalformedRequest` when it is made for an id that no row ever named, and `LogUnavailable` when the database
    cannot be reached.
    """

    def __init__(self, history: MemberHistory, asked: OnFile) -> None:
        fact = asked.fact
        self._asked = asked
        holders = history.holders(fact.rows, fact.column, fact.holder, asked.value)
        if not holders and fact.fault is identifier_fault:
            told = (
                f"no row of the members ever named {quoted(asked.value)} as {asked.name}: write an id as it is on file"
            )
            raise malformed(PARAMETER, told)
        self._rows = _by(history.versions(fact.rows, holders), fact.holder)
        persons = {name.removeprefix(PERSON_PREFIX) for name in holders if self._is_person(name)}
        self._people = _by(history.versions("people", persons) if fact.filed is not None else (), "id")
        accounts = [one for one in history.versions("accounts") if isinstance(one.row, Account)]
        standing = {one.row.id for one in accounts if isinstance(one.row, Account) and one.row.person in persons}
        self._accounts = _by((one for one in accounts if isinstance(one.row, Account) and one.row.id in standing), "id")
        self._candidates = (
            Among(
                subjects=frozenset({*persons, *standing}),
                organisations=frozenset(name for name in holders if not self._is_person(name)),
            )
            if len(holders) + len(standing) <= MOST_NAMED
            else None
        )

    @property
    def text(self) -> str:
        """What was asked."""
        return self._asked.text

    @property
    def candidates(self) -> Among | None:
        """Whom it can be about at all; `None` where they are too many to be named."""
        return self._candidates

    def holds(self, body: bytes) -> bool:
        """Whether the fact was on file about whoever the decision was about; not for a record that cannot be read."""
        try:
            record = read_record(body)
        except RecordFault:
            return False
        return any(self._on_file(name, record) for name in self._asked_about(record))

    def _is_person(self, name: str) -> bool:
        return self._asked.fact.holder == "person" or name.startswith(PERSON_PREFIX)

    def _asked_about(self, record: RecordedDecision) -> set[str]:
        """The holders that the decision was about, as the rows name them."""
        request = record.request
        if request is None:
            return set()
        prefix = "" if self._asked.fact.holder == "person" else PERSON_PREFIX
        found = {value for kind, value in marks_of(record) if kind == "organisation"} if prefix else set()
        for one in (request.subject, request.end_user):
            if one is None or one.type is SubjectType.ORGANISATION:
                continue
            if one.type is SubjectType.PERSON:
                found.add(prefix + one.id)
                continue
            for row in _known(self._accounts.get(one.id, ()), record.membership_revision):
                if isinstance(row, Account) and row.person is not None and row.valid.holds(record.decided_at):
                    found.add(prefix + row.person)
        return found

    def _on_file(self, name: str, record: RecordedDecision) -> bool:
        fact, at = self._asked.fact, record.decided_at
        if fact.filed is not None:
            entries = _known(self._people.get(name, ()), record.membership_revision)
            if not any(isinstance(entry, PersonEntry) and getattr(entry, fact.filed) for entry in entries):
                return False
        rows = _known(self._rows.get(name, ()), record.membership_revision)
        return any(str(getattr(row, fact.column)) == self._asked.value for row in _in_force(rows, at))


def _by(versions: Iterable[Version], column: str) -> dict[str, tuple[Version, ...]]:
    found: dict[str, list[Version]] = {}
    for one in versions:
        found.setdefault(str(getattr(one.row, column)), []).append(one)
    return {name: tuple(held) for name, held in found.items()}


def _known(versions: Iterable[Version], revision: int) -> list[Recorded]:
    """The rows that counted at a revision."""
    return latest_known((one.row for one in versions if one.revision <= revision), None)


def _in_force(rows: list[Recorded], at: datetime) -> Iterable[Recorded]:
    memberships = [row for row in rows if isinstance(row, Membership)]
    if memberships:
        return memberships_in_force(memberships, at)
    return [
        row
        for row in rows
        if (isinstance(row, Organisation) or _valid(row, at))
        and not (isinstance(row, Listing) and row.status is ListingStatus.CLEARED)
    ]


def _valid(row: Recorded, at: datetime) -> bool:
    valid: Validity | None = getattr(row, "valid", None)
    return valid is not None and valid.holds(at)


class RecordedLooks:
    """Puts each look at decisions by what was on file about people on record, before anything is shown."""

    def __init__(self, log: DeskLog, *, clock: Callable[[], datetime], new_id: Callable[[datetime], str]) -> None:
        self._log = log
        self._clock = clock
        self._new_id = new_id

    def note(self, actor: Actor, asked: OnFile, filters: Mapping[str, str], *, what: str) -> None:
        """`what` is asked for: `decisions` or their `export`. Raises `LogUnavailable`: then nothing may be shown."""
        at = self._clock()
        told = tuple(sorted(f"{name}={value}" for name, value in filters.items()))
        event = MembersAsked(what=what, on_file=asked.text, filters=told)
        self._log.note(NewEvent(id=self._new_id(at), at=at, actor=actor, event=event))
