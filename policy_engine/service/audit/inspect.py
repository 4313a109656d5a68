"""What auditors ask of the log: pages of decisions, statistics, saved reports; every answer says which log it is of.

A query is pinned to a size of the log, and its later pages to the same: what is decided meanwhile is in none of them.
The size is the one of the last sealed checkpoint, as far as the index has come, with the root of its year's tree at
that size; of a log without checkpoints it is what the index covers, and there is no root.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import product
from typing import Final

import msgspec

from policy_engine.domain.changes import BOOK_KINDS, Change
from policy_engine.domain.desk import Desk, InForce, Proposal, RetiredYear, desk_after
from policy_engine.domain.instants import InstantError, format_instant, parse_instant
from policy_engine.domain.ports import DeskLog, LogUnavailable
from policy_engine.domain.spelling import one_spelling
from policy_engine.formats.faults import near_miss, quoted
from policy_engine.formats.identifiers import country_fault, shown, text_fault
from policy_engine.formats.request_document import FieldFault, MalformedRequest, malformed
from policy_engine.formats.spreadsheet import BETWEEN
from policy_engine.service.audit.cursors import LONGEST_PAGE, Cursors
from policy_engine.service.audit.names_on_record import NamesOnRecord
from policy_engine.service.audit.on_file import PARAMETER, MembersThen
from policy_engine.service.audit.retired import RecordRetired, retired_between, retired_with
from policy_engine.service.audit.revocations import Revocation, revocations_of
from policy_engine.service.sealing.sealed_roots import Tree, Trees, no_trees
from policy_engine.shapes.record import AsOfDocument, CheckpointNamed, PageDocument, UnreadDocument
from policy_engine.store.decision_index import READ_BY_RULES, SEARCHED, Filters, Indexer, Searched
from policy_engine.store.index_search import MOST_COUNTED, DecisionIndex, Logged, Position, Touch


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterParameter:
    """A filter: what it means, and what is wrong with a text for it (`None`: nothing). `choices` are all the texts that
    there are; empty where any is."""

    meaning: str
    fault: Callable[[str], str | None]
    choices: tuple[str, ...] = ()

    @property
    def schema(self) -> Mapping[str, object]:
        """What may be given, as JSON Schema."""
        return {"type": "string", "enum": list(self.choices)} if self.choices else {"type": "string", "minLength": 1}


def _parameter(one: Searched) -> FilterParameter:
    if one.choices:
        return FilterParameter(meaning=one.meaning, fault=_fault_among(one.choices), choices=one.choices)
    return FilterParameter(meaning=one.meaning, fault=country_fault if one.is_country else _text_fault)


def _fault_among(choices: tuple[str, ...]) -> Callable[[str], str | None]:
    def fault(text: str) -> str | None:
        if text in choices:
            return None
        near = near_miss(text, choices)
        meant = "" if near is None else f"; did you mean {quoted(near)}?"
        return f"is one of {', '.join(choices)}{meant}"

    return fault


def _text_fault(text: str) -> str | None:
    if not 0 < len(text) <= MAX_TEXT:
        return f"must have 1 to {MAX_TEXT} characters"
    return text_fault(text)


MAX_TEXT: Final = 300

_EDGES: Final = {"from": "start", "to": "end"}

PARAMETERS: Final[Mapping[str, FilterParameter]] = {
    "from": FilterParameter(meaning="Decided at this instant or later.", fault=lambda _: None),
    "to": FilterParameter(meaning="Decided before this instant.", fault=lambda _: None),
    **{name: _parameter(one) for name, one in SEARCHED.items() if one.meaning},
}
"""Every filter that may be asked for."""


_SPELT: Final = frozenset({"action", "code"})


def read_filters(given: Mapping[str, str], *, authorisation: str | None = None, caller: str | None = None) -> Filters:
    """The filters in texts by the names of `PARAMETERS`, with an authorisation or a key where a report asks for one.

    Raises `MalformedRequest`, which names each that is wrong.
    """
    faults: list[FieldFault] = []
    values: dict[str, str | bool | datetime | None] = {"authorisation": authorisation, "caller": caller}
    for name, text in given.items():
        parameter = PARAMETERS.get(name)
        if parameter is None:
            faults.append(FieldFault(field=shown(name), message="is not a filter"))
            continue
        if name in _SPELT:
            text = one_spelling(text)  # noqa: PLW2901  a word of a closed list, as it is written there
        if name in _EDGES:
            try:
                values[_EDGES[name]] = parse_instant(text)
            except InstantError as error:
                faults.append(FieldFault(field=name, message=shown(str(error), 200)))
            continue
        fault = parameter.fault(text)
        if fault is not None:
            faults.append(FieldFault(field=name, message=fault))
        values[name] = text == "true" if name == "hold" else text
    if faults:
        raise MalformedRequest(*faults)
    filters = msgspec.convert(values, Filters)
    require_interval(filters.start, filters.end)
    return filters


def require_interval(start: datetime | None, end: datetime | None) -> None:
    """Raises `MalformedRequest` for an interval that ends before it begins, in which nothing could be found.

    One that ends where it begins is empty and may be asked for, as the period of nothing.
    """
    if start is not None and end is not None and end < start:
        told = f"is `{format_instant(end)}`, before `from`, which is `{format_instant(start)}`: swap the two"
        raise malformed("to", told)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """The log that an answer is of: its size, which counts every entry of every year, and the tree in which it ends;
    `None` where there is no sealed one."""

    size: int
    tree: Tree | None = None

    def document(self) -> AsOfDocument:
        """As it is told, the root in base64."""
        if self.tree is None:
            return AsOfDocument(size=self.size, root=None)
        of = CheckpointNamed(origin=self.tree.origin, size=self.tree.size)
        return AsOfDocument(size=self.size, root=self.tree.root, checkpoint=of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """How many decisions a filter could not find, whatever was on file: those that meet all the others and have nothing
    recorded for it, because no rule read that. Of very many not all are counted, and `more` says so.

    `sought` is what the filter asked for.
    """

    name: str
    sought: str
    decisions: int
    more: bool

    def document(self) -> UnreadDocument:
        """As it is told."""
        return UnreadDocument(filter=self.name, decisions=self.decisions, more=self.more, why=NO_RULE_READ_IT)


NO_RULE_READ_IT: Final = "no rule read it, so that it is not recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Decisions newest first, where the next page begins, and the log that they are of.

    `retired` are the years that the filters reach into and whose decisions are no longer kept, oldest first.
    `unread` says, with the first page, what the filters could not find.
    """

    decisions: tuple[Logged, ...]
    next_cursor: str | None
    as_of: AsOf
    retired: tuple[RetiredYear, ...]
    unread: tuple[Unread, ...] = ()

    def document(self) -> PageDocument:
        """As it is told; each record as it stands in the log."""
        return PageDocument(
            decisions=tuple(msgspec.Raw(logged.body) for logged in self.decisions),
            next_cursor=self.next_cursor,
            as_of=self.as_of.document(),
            retired=tuple(one.content.year for one in self.retired) or msgspec.UNSET,
            unread=tuple(one.document() for one in self.unread) or msgspec.UNSET,
        )


STATISTICS: Final[Mapping[str, str]] = {
    "reason": "reason",
    "rule": "deciding_rules",
    "country": "place_country",
    "model": "model",
    "tier": "tier",
    "action": "action",
    "gateway": "gateway",
    "day": "day",
    "month": "day",
    "decision": "decision",
}
"""What decisions are counted by, and the column of the index that says it."""

TIMES: Final = ("day", "month")
"""Those that are told in the order of time, all others with the most first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many decisions have some values, one for each thing that is counted by; `None` where it was not stated or is
    not on record."""

    values: tuple[str | None, ...]
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """How many decisions there are for each combination of values, the log that they are counted in, and the years that
    the filters reach into and of which nothing is left to count.

    `total` is the number of decisions: one that several rules decided counts for each of them, and is one. `unread` is
    that of a page.
    """

    by: tuple[str, ...]
    counts: tuple[Count, ...]
    total: int
    as_of: AsOf
    retired: tuple[RetiredYear, ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BookAt:
    """The book in force at an instant, and the proposal that brought it, if one did."""

    at: datetime
    book: InForce | None
    proposal: Proposal | None


class Inspector:
    """Answers an auditor's questions. Methods raise `LogUnavailable` when the log cannot be read, and `LogDamaged`
    where a record that belongs into the answer is missing."""

    def __init__(
        self,
        *,
        index: DecisionIndex,
        indexer: Indexer,
        desk_log: DeskLog,
        cursor_key: bytes,
        trees: Trees = no_trees,
    ) -> None:
        self.index = index
        self._indexer = indexer
        self._desk_log = desk_log
        self.cursors = Cursors(cursor_key)
        self._trees = trees
        self._names = NamesOnRecord(index, desk_log)

    def pin(self) -> AsOf:
        """The log as it can be asked now. What the indexer left for less than a page is indexed first."""
        if 0 < self._indexer.behind() < LONGEST_PAGE:
            # Where the one writer is busy for long, the answer is of what is indexed, and says so.
            with suppress(LogUnavailable):
                self._indexer.catch_up(LONGEST_PAGE)
        newest = self._trees(None)
        indexed = self.index.size()
        if newest is None:
            return AsOf(size=indexed)
        return AsOf(size=newest.log_size, tree=newest) if newest.log_size <= indexed else self.at(indexed)

    def require_names(self, filters: Filters) -> None:
        """Raises `MalformedRequest` for names that nothing ever had: what they find would look like an answer."""
        self._names.require(filters)

    def at(self, size: int) -> AsOf:
        """The log as it was when it had a size."""
        return AsOf(size=size, tree=self._trees(size))

    def unsealed(self, as_of: AsOf) -> int:
        """How many entries the log has by now beyond those of an answer."""
        return max(0, self.index.log_size() - as_of.size)

    def page(self, filters: Filters, *, limit: int, cursor: str | None, then: MembersThen | None = None) -> Page:
        """A page of at most `limit` decisions; the cursor is one that an earlier page gave for the same filters.

        With `then` they are those about somebody of whom that was on file; where so many had to be looked at that a
        page would take long, it is shorter than `limit` and has a cursor all the same.

        Raises `MalformedRequest` for any other cursor, and for names that nothing ever had.
        """
        digest = _digest(filters, then)
        if cursor is None:
            as_of, after = self.pin(), None
            self.require_names(filters)
        else:
            held = self.cursors.read(cursor, _Ended, of=digest)
            # It was given by this service, of a log that has been put back since.
            if held.size > self.index.log_size():
                message = "was given for a longer log than this one: start again without it"
                raise malformed("cursor", message)
            as_of, after = self.at(held.size), Position(at=held.at, log_index=held.log_index)
        if then is None:
            found = self.index.page(filters, size=as_of.size, after=after, limit=limit + 1)
            shown_now, last = found[:limit], found[limit - 1] if len(found) > limit else None
        else:
            shown_now, last = self._looked_at(filters, then, size=as_of.size, after=after, limit=limit)
        following = None if last is None else self.cursors.give(_Ended(as_of.size, last.at, last.log_index), of=digest)
        return Page(
            decisions=shown_now,
            next_cursor=following,
            as_of=as_of,
            retired=self.retired(filters),
            unread=self._unread(filters, as_of) if cursor is None else (),
        )

    def _looked_at(
        self, filters: Filters, then: MembersThen, *, size: int, after: Position | None, limit: int
    ) -> tuple[tuple[Logged, ...], Logged | None]:
        """Up to `limit` decisions about somebody of whom it was on file, and the last one that was looked at, where
        there may be more."""
        found: list[Logged] = []
        last: Logged | None = None
        for number, one in enumerate(self._about(filters, then, size=size, after=after)):
            if len(found) == limit or number == LOOKED_AT:
                return tuple(found), last
            if then.holds(one.body):
                found.append(one)
            last = one
        return tuple(found), None

    def _about(
        self, filters: Filters, then: MembersThen, *, size: int, after: Position | None = None
    ) -> Iterator[Logged]:
        """The decisions that may be about somebody of whom it was on file, newest first."""
        while True:
            some = self.index.among(filters, then.candidates, size=size, after=after, limit=_AT_ONCE)
            yield from some
            if len(some) < _AT_ONCE:
                return
            after = Position(at=some[-1].at, log_index=some[-1].log_index)

    def _unread(self, filters: Filters, as_of: AsOf) -> tuple[Unread, ...]:
        """What the filters could not find, by those that ask for what a record has only where a rule read it."""
        found = []
        for name in READ_BY_RULES:
            sought = getattr(filters, name)
            number = 0 if sought is None else self.index.unread(filters, name, size=as_of.size)
            if number:
                more = number > MOST_COUNTED
                found.append(Unread(name=name, sought=sought, decisions=min(number, MOST_COUNTED), more=more))
        return tuple(found)

    def statistics(self, filters: Filters, by: Sequence[str], then: MembersThen | None = None) -> Statistics:
        """How many of the decisions that are asked for there are, by one or several of `STATISTICS`; with `then` of
        those about somebody of whom that was on file.

        Raises `MalformedRequest` for names that nothing ever had.
        """
        as_of = self.pin()
        self.require_names(filters)
        columns = [STATISTICS[name] for name in by]
        if then is None:
            found: Iterable[tuple[tuple[str | None, ...], int]] = self.index.counts(filters, columns, size=as_of.size)
        else:
            keys = [one.log_index for one in self._about(filters, then, size=as_of.size) if then.holds(one.body)]
            pieces = (keys[begin : begin + _AT_ONCE] for begin in range(0, len(keys), _AT_ONCE))
            found = Counter(values for piece in pieces for values in self.index.values(piece, columns)).items()
        return Statistics(
            by=tuple(by),
            counts=_counted(tuple(by), found),
            total=sum(number for _, number in found),
            as_of=as_of,
            retired=self.retired(filters),
            unread=self._unread(filters, as_of),
        )

    def touches(self, filters: Filters) -> tuple[Touch, ...]:
        """Who asked for what and was told what, of the decisions that are asked for.

        Raises `MalformedRequest` for names that nothing ever had.
        """
        as_of = self.pin()
        self.require_names(filters)
        return self.index.touches(filters, size=as_of.size)

    def retired(self, filters: Filters) -> tuple[RetiredYear, ...]:
        """The retired years that the filters reach into, oldest first: more was there than is found."""
        return retired_between(self._retirements(), filters.start, filters.end)

    def require_kept(self, decision_id: str) -> None:
        """Raises `RecordRetired` when an id under which nothing is found is of a retired year, by the instant in it."""
        retired = retired_with(self._retirements(), decision_id)
        if retired is not None:
            raise RecordRetired(retired)

    def _retirements(self) -> Desk:
        return desk_after(self._desk_log.changes(_RETIREMENTS))

    def overrides(self, start: datetime | None = None, end: datetime | None = None) -> tuple[Change, ...]:
        """Every freeze, its lifting, and every case for review that people released or refused, oldest first."""
        return tuple(
            change
            for change in self._desk_log.changes(OVERRIDES)
            if (start is None or change.at >= start) and (end is None or change.at < end)
        )

    def revocations(self, name: str) -> tuple[Revocation, ...]:
        """What was revoked under a name, the earliest first. Also raises `MembersUnavailable`."""
        return revocations_of(self._desk_log, name)

    def book_at(self, at: datetime) -> BookAt:
        """The book in force at an instant, as everything that is recorded by now says."""
        desk = desk_after(self._desk_log.changes(BOOK_KINDS))
        book = desk.book_at(at)
        proposal = None if book is None or book.proposal is None else desk.proposals[book.proposal]
        return BookAt(at=at, book=book, proposal=proposal)


OVERRIDES: Final = (
    "freeze.declared",
    "freeze.lift_asked",
    "freeze.lifted",
    "review.release_asked",
    "review.closed",
)
"""The kinds of change by which people stop what rules allow, or let go what rules hold."""

_RETIREMENTS: Final = ("year.retired",)


def _counted(by: tuple[str, ...], found: Iterable[tuple[tuple[str | None, ...], int]]) -> tuple[Count, ...]:
    """The counts in the order in which they are told, from those of the values as the index has them."""
    counts: Counter[tuple[str | None, ...]] = Counter()
    for held, number in found:
        for values in product(*(_told(name, value) for name, value in zip(by, held, strict=True))):
            counts[values] += number
    totals: Counter[tuple[str | None, ...]] = Counter()
    for values, number in counts.items():
        for length in range(1, len(by) + 1):
            totals[values[:length]] += number

    def order(values: tuple[str | None, ...]) -> list[tuple[int, bool, str]]:
        return [
            (0 if name in TIMES else -totals[values[: place + 1]], value is not None, value or "")
            for place, (name, value) in enumerate(zip(by, values, strict=True))
        ]

    return tuple(Count(values=values, number=counts[values]) for values in sorted(counts, key=order))


def _told(name: str, value: str | None) -> tuple[str | None, ...]:
    """What a value of the index says of what is counted by: of the rules that decided each one."""
    if value is None or (name == "rule" and not value):
        return (None,)
    match name:
        case "rule":
            return tuple(value.split(BETWEEN))
        case "day":
            return (_day(value),)
        case "month":
            return (_day(value)[:7],)
        case _:
            return (value,)


def _day(days: str) -> str:
    return (parse_instant("1970-01-01") + timedelta(days=int(days))).date().isoformat()


LOOKED_AT: Final = 20_000
"""So many decisions are looked at for one page of a search by what was on file."""

_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class _Ended:
    """Where a page ended, in the log of a size."""

    size: int
    at: datetime
    log_index: int


def _digest(filters: Filters, then: MembersThen | None) -> str:
    told = {} if then is None else {PARAMETER: then.text}
    told |= {
        one.name: format_instant(value) if isinstance(value, datetime) else value
        for one in fields(filters)
        if (value := getattr(filters, one.name)) is not None
    }
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
