"""How long records are kept: a clock for each regime, legal holds that stop every clock, and the retiring of a year.

Clocks. A record's clock begins at the latest event that is linked to it in this log: its own instant, the end of the
time in which its allow could be reused, a later decision under the same request id of the same caller (looked for until
`REPEATED_WITHIN` after the end of the year), and the end of the review case that it belongs to; while that case is open
no clock begins. Events outside the log (a known reexport, the return of a copy, the end of a licence) are not seen
here: hold the records for them.

- every record: 5 years (15 CFR 762.6(a), from the latest event of the transaction; 22 CFR 122.5 for what is ITAR);
- one with a finding of `us-ofac`, in whatever state: 10 years (31 CFR 501.601, since 12 March 2025);
- one that cannot be read by this release, or that the engine denied in a fault: the longest of all.

Holds. A record under a legal hold is kept until the hold is released (15 CFR 762.6(b)).

Retiring. A year of the log is retired as a whole: when the next year has begun, all of it is sealed, every clock of it
has run out and no hold covers any of it. The event is recorded first, with the last signed checkpoint; then the entry
bundles and the decisions are removed, the latter by the owner of the tables. What stays: the checkpoint, the key, and
the tiles of hashes, which tell nothing of a record and keep every receipt good; and the changes, from which what is in
force is folded: later years may stand on books that came in a retired one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from policy_engine.domain.changes import Actor, HoldPlaced, HoldReleased, YearRetired
from policy_engine.domain.desk import Desk, HoldState, RetiredYear
from policy_engine.domain.instants import format_instant
from policy_engine.domain.legal_holds import HOLD_PREFIX, Hold, HoldScope
from policy_engine.domain.ports import LogEntries, LogEntry, LogYear
from policy_engine.domain.request import Request, Subject, SubjectType
from policy_engine.domain.rules import FAULT_RULE
from policy_engine.formats.change import ChangeFault, decode_change
from policy_engine.formats.faults import near_miss, quoted
from policy_engine.formats.record_reader import RecordedDecision, RecordFault, read_record
from policy_engine.ledger.sealer import published
from policy_engine.service.administration.desk import Administration, Proposed, person_of, require_words
from policy_engine.service.administration.desk_faults import DeskConflict, NotAccepted, NothingThere
from policy_engine.service.gate.snapshot import Ground
from policy_engine.service.sealing.sealed_log import Sealing
from policy_engine.store.retirement import Retirement

YEARS: Final = 5
"""How long every record is kept: 15 CFR 762.6(a), 22 CFR 122.5(a)."""

LONGER: Final[Mapping[str, int]] = {"us-ofac": 10}
"""The regimes that ask for more years: 31 CFR 501.601."""

LONGEST: Final = max(YEARS, *LONGER.values())

REPEATED_WITHIN: Final = timedelta(days=31)
"""How long after the end of a year a repetition of one of its requests is looked for."""

Progress = Callable[[int, int], object]
"""Takes how many entries of the year were looked at, and how many it has."""


class MustBeKept(Exception):
    """The first clock or hold for which the year cannot be retired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A hold, and how many records of the log were under it when it was placed."""

    state: HoldState
    records: int


def place_hold(desk: Administration, actor: Actor, scope: HoldScope, *, reason: str) -> Placed:
    """Hold records until the hold is released.

    Every name has to be known, since a name that is mistyped holds nothing: a decision in the log; anything else on
    file, in the catalogue or in the log. Raises `PersonNeeded`, `NotAccepted`, which names what is not known and what
    was likely meant, and `LogUnavailable`.
    """
    person_of(actor)
    require_words(reason, "a hold needs a reason: the request or the proceedings that it answers")
    if scope.everything == scope.stated:
        raise NotAccepted("say what is held: decisions, organisations, subjects, models, or `all` for everything")
    for subject in scope.subjects:
        kind, _, name = subject.partition(":")
        if kind not in tuple(SubjectType) or not name:
            raise NotAccepted(f"{quoted(subject)} is not a subject: write type:id, such as person:alice")
    name = HOLD_PREFIX + desk.new_id(desk.clock())
    hold = Hold(id=name, scope=scope, reason=reason)
    records, told = _under(desk, hold)
    _require_known(scope, told, _on_file(desk.view.refresh(), desk.clock()))
    event = HoldPlaced(hold=hold)
    desk.act(actor, lambda _ground, _at: Proposed(event=event))
    return Placed(state=desk.view.current().desk.holds[name], records=records)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """Names by what they are names of."""

    decisions: Set[str] = frozenset()
    organisations: Set[str] = frozenset()
    subjects: Set[str] = frozenset()
    models: Set[str] = frozenset()


def _on_file(ground: Ground, at: datetime) -> _Names:
    roster, judge = ground.roster, ground.judge_at(at)
    entries = () if judge is None else tuple(judge.book.tables.catalogue.entries.values())
    kinds = {
        SubjectType.PERSON: roster.people,
        SubjectType.ORGANISATION: roster.organisations,
        SubjectType.ACCOUNT: roster.accounts,
        SubjectType.SERVICE: roster.accounts,
    }
    return _Names(
        organisations=roster.organisations.keys(),
        subjects={f"{kind}:{name}" for kind, names in kinds.items() for name in names},
        models={name for entry in entries for name in (entry.id, *(alias for _, of in entry.aliases for alias in of))},
    )


def _under(desk: Administration, hold: Hold) -> tuple[int, _Names]:
    """How many records are under a hold, and which of the names that it could have are told by any of them."""
    scope = hold.scope
    words = (*scope.decisions, *scope.organisations, *scope.models, *(one.partition(":")[2] for one in scope.subjects))
    sought = [msgspec.json.encode(word)[1:-1] for word in words]
    told: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    records = 0
    for body in desk.log.decisions_since(_EVER):
        # Most records have none of the names: to look for their bytes is a hundred times faster than to read them.
        if not scope.everything and _NO_FACTS not in body and not any(word in body for word in sought):
            continue
        try:
            record = read_record(body)
        except RecordFault:
            # It cannot be told what it names, so every hold keeps it.
            records += 1
            continue
        records += covers(hold, record)
        if record.request is not None:
            names = _names_in(record, record.request)
            for kind in _KINDS:
                told[kind] |= getattr(names, kind) & set(getattr(scope, kind))
        elif record.id in scope.decisions:
            told["decisions"].add(record.id)
    return records, _Names(**told)


_KINDS: Final = ("decisions", "organisations", "subjects", "models")
_NO_FACTS: Final = b'"facts":[]'
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _require_known(scope: HoldScope, told: _Names, on_file: _Names) -> None:
    unknown = []
    for kind in _KINDS:
        filed: Set[str] = getattr(on_file, kind)
        known = filed | getattr(told, kind)
        for name in getattr(scope, kind):
            if name in known:
                continue
            near = near_miss(name, tuple(sorted(filed)))
            meant = "" if near is None else f"; did you mean {quoted(near)}?"
            where = "the log" if kind == "decisions" else "what is on file, the catalogue and the log"
            unknown.append(f"the {kind.removesuffix('s')} {quoted(name)} is not in {where}{meant}")
    if unknown:
        raise NotAccepted(f"nothing is held: {'. '.join(unknown)}")


def release_hold(desk: Administration, actor: Actor, hold: str, *, reason: str) -> HoldState:
    """End a hold. Raises `PersonNeeded`, `NothingThere`, `NotAccepted` without a reason, `DeskConflict` for one that is
    released already."""
    person_of(actor)
    require_words(reason, "releasing a hold needs a reason")

    def make(ground: Ground, _: datetime) -> Proposed:
        held = ground.desk.holds.get(hold)
        if held is None:
            raise NothingThere(f"there is no hold {quoted(hold)}")
        if held.released_at is not None:
            raise DeskConflict(f"hold {quoted(hold)} is released already")
        return Proposed(event=HoldReleased(hold=hold, reason=reason))

    desk.act(actor, make)
    return desk.view.current().desk.holds[hold]


def covers(hold: Hold, record: RecordedDecision) -> bool:
    """Whether a record is under a hold; in doubt it is: of a shortened record nobody knows whom it was judged for, and
    without its request nobody knows any name."""
    scope = hold.scope
    if scope.everything or record.id in scope.decisions:
        return True
    request = record.request
    if request is None:
        return bool(scope.organisations or scope.subjects or scope.models)
    if record.shortened and scope.organisations:
        return True
    named = _names_in(record, request)
    return (
        not named.organisations.isdisjoint(scope.organisations)
        or not named.subjects.isdisjoint(scope.subjects)
        or not named.models.isdisjoint(scope.models)
    )


def _names_in(record: RecordedDecision, request: Request) -> _Names:
    organisations = {party.organisation for party in record.parties}
    organisations |= {request.acting_for, request.destination.host}
    asked = [one for one in (request.subject, request.end_user) if one is not None]
    organisations |= {one.id for one in asked if one.type is SubjectType.ORGANISATION}
    subjects = {_named(one) for one in asked} | {party.subject for party in record.parties}
    return _Names(
        decisions={record.id},
        organisations={one for one in organisations if one is not None},
        subjects={one for one in subjects if one is not None},
        models={record.model, request.model},
    )


def _named(subject: Subject) -> str:
    return f"{subject.type}:{subject.id}"


def kept_years(record: RecordedDecision) -> int:
    """For how many years a record is kept once its clock has begun."""
    if record.reason_rule == FAULT_RULE:
        return LONGEST
    return max([YEARS, *(LONGER.get(finding.regime, YEARS) for finding in record.findings)])


def years_after(at: datetime, years: int) -> datetime:
    """The same day and time so many years later; the first of March for a twenty-ninth of February that is none."""
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, month=3, day=1)


class Retention:
    """Retires years of the log."""

    def __init__(self, *, desk: Administration, entries: LogEntries, sealing: Sealing) -> None:
        self._desk = desk
        self._entries = entries
        self._sealing = sealing

    def retire(self, actor: Actor, year: int, *, reason: str, progress: Progress | None = None) -> RetiredYear:
        """Record that a year is retired; nothing is removed yet. One that is retired already stays so.

        Raises `MustBeKept` with the first clock or hold that stands, `PersonNeeded`, `NothingThere`, `NotAccepted`
        without a reason, `DeskConflict` for a year that goes on or is not sealed, and what reading raises.
        """
        person_of(actor)
        require_words(reason, "retiring a year needs a reason")
        ground = self._desk.view.refresh()
        if year in ground.desk.retired:
            return ground.desk.retired[year]
        found, end = ended_year(self._entries, year)
        signed = published(self._sealing.tiles(year), self._sealing.key(year).verifier)
        if signed is None or signed.checkpoint.size != end - found.first_index:
            raise DeskConflict(f"{year} is not sealed to its end")
        holds = ground.desk.standing_holds()
        count = require_over(
            self._entries, ground.desk, found, end, now=self._desk.clock(), held_by=holds, progress=progress
        )
        event = YearRetired(
            year=year,
            first_index=found.first_index,
            size=signed.checkpoint.size,
            decisions=count,
            checkpoint=signed.note.decode(),
            key=self._sealing.key(year).verifier.encode(),
            reason=reason,
        )

        def make(ground: Ground, _: datetime) -> Proposed:
            if ground.desk.standing_holds() != holds or year in ground.desk.retired:
                raise DeskConflict("the holds have changed meanwhile: try again")
            return Proposed(event=event)

        self._desk.act(actor, make)
        return self._desk.view.current().desk.retired[year]


def ended_year(entries: LogEntries, year: int) -> tuple[LogYear, int]:
    """A year of the log that is over, and the number after its last entry. Raises `NothingThere`, `DeskConflict`."""
    years = entries.years()
    at = next((at for at, one in enumerate(years) if one.year == year), None)
    if at is None:
        raise NothingThere(f"the log has no year {year}")
    if at + 1 == len(years):
        raise DeskConflict(f"{year} is the current year of the log")
    return years[at], years[at + 1].first_index


def require_over(
    entries: LogEntries,
    desk: Desk,
    year: LogYear,
    end: int,
    *,
    now: datetime,
    held_by: tuple[Hold, ...],
    progress: Progress | None = None,
) -> int:
    """How many decisions of a year there are, all of whose clocks have run out and none of which is held.

    Raises `MustBeKept` for the first other one, `LogUnavailable`.
    """
    clocks = _Clocks(entries, desk, year, end)
    count, at = 0, year.first_index
    while at < end:
        page = [entry for entry in entries.page(at) if entry.index < end]
        if not page:
            break
        for entry in page:
            record = _decision(entry)
            if record is None:
                continue
            count += 1
            _require_over(entry, record, clocks, now, held_by)
        at = page[-1].index + 1
        if progress is not None:
            progress(at - year.first_index, end - year.first_index)
    return count


class _Unreadable:
    """A decision that this release cannot read."""


def _decision(entry: LogEntry) -> RecordedDecision | _Unreadable | None:
    """The decision of an entry; `None` for a change."""
    try:
        return read_record(entry.body)
    except RecordFault:
        pass
    try:
        decode_change(entry.body)
    except ChangeFault:
        return _Unreadable()
    return None


def _require_over(
    entry: LogEntry,
    record: RecordedDecision | _Unreadable,
    clocks: _Clocks,
    now: datetime,
    held_by: tuple[Hold, ...],
) -> None:
    if isinstance(record, _Unreadable):
        if held_by:
            raise MustBeKept(f"entry {entry.index} cannot be read, and hold {quoted(held_by[0].id)} may cover it")
        name, years, begins = f"entry {entry.index}, which cannot be read,", LONGEST, entry.at
    else:
        for hold in held_by:
            if covers(hold, record):
                raise MustBeKept(f"decision {quoted(record.id)} is under hold {quoted(hold.id)}: {hold.reason}")
        case = clocks.open_case(record)
        if case is not None:
            raise MustBeKept(f"decision {quoted(record.id)} belongs to the review case {quoted(case)}, which is open")
        name, years, begins = f"decision {quoted(record.id)}", kept_years(record), clocks.begins(record)
    until = years_after(begins, years)
    if now < until:
        raise MustBeKept(f"{name} is kept until {format_instant(until)}: {years} years from {format_instant(begins)}")


class _Clocks:
    """When the clocks of records begin: by what is linked to them anywhere in the log."""

    def __init__(self, entries: LogEntries, desk: Desk, year: LogYear, end: int) -> None:
        self._closed = {case: state.at for case, state in desk.closed.items()}
        self._repeated = _last_repetitions(entries, year, end)

    def open_case(self, record: RecordedDecision) -> str | None:
        """A review case of the record that is not closed."""
        cases = (finding.review for finding in record.findings if finding.review is not None)
        return next((case for case in cases if case not in self._closed), None)

    def begins(self, record: RecordedDecision) -> datetime:
        """The latest event that is linked to the record."""
        linked = [record.decided_at, record.valid_until]
        linked += [self._closed[one.review] for one in record.findings if one.review in self._closed]
        request = record.request
        if request is not None and request.request_id is not None:
            again = self._repeated.get((record.caller.id, request.request_id))
            linked += [] if again is None else [again]
        return max(linked)


def _last_repetitions(entries: LogEntries, year: LogYear, end: int) -> dict[tuple[str, str], datetime]:
    """The last decision under each request id of the year's decisions, by caller and id."""
    last: dict[tuple[str, str], datetime] = {}
    at = year.first_index
    begun: datetime | None = None
    while page := entries.page(at):
        for entry in page:
            if entry.index >= end:
                begun = begun or entry.at
                if entry.at > begun + REPEATED_WITHIN:
                    return last
            record = _decision(entry)
            request = record.request if isinstance(record, RecordedDecision) else None
            if not isinstance(record, RecordedDecision) or request is None or request.request_id is None:
                continue
            key = (record.caller.id, request.request_id)
            if entry.index < end or key in last:
                last[key] = max(last.get(key, record.decided_at), record.decided_at)
        at = page[-1].index + 1
    return last


def remove_retired(
    entries: LogEntries,
    sealing: Sealing,
    retirement: Retirement,
    desk: Desk,
    year: int,
    *,
    progress: Progress | None = None,
) -> int:
    """Remove the bundles and the decisions of a retired year; how many decisions were removed. Safe to run again.

    What was not removed yet and is under a hold by now is kept: raises `MustBeKept`. Raises `NothingThere` for a year
    that is not retired, `LogLocked`, `OSError`, and `LogUnavailable`, also where the role does not own the tables.
    """
    held = desk.retired.get(year)
    if held is None:
        raise NothingThere(f"{year} is not retired")
    first, end = held.content.first_index, held.content.first_index + held.content.size
    if retirement.count(first, end):
        require_over(
            entries,
            desk,
            LogYear(year=year, first_index=first),
            end,
            now=held.at,
            held_by=desk.standing_holds(),
            progress=progress,
        )
    sealing.drop_entries(year)
    removed = 0
    while taken := retirement.remove(first, end):
        removed += taken
    return removed
