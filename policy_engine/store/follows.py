"""What the tables beside the log have to say, since it follows from the log: each function names what says otherwise.

Revisions, places taken on caps, retries, review cases and the counters are written in the transaction of the entry that
they follow from. Whoever alters one of them alone is named here; what no entry tells of, such as the hash of a key's
secret, is not found by anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import func, or_, select

from policy_engine.domain.changes import (
    BookApproved,
    BookFounded,
    BookProposed,
    BookWatched,
    Change,
    MembersRecorded,
    ReviewReleaseAsked,
)
from policy_engine.domain.reviews import review_key
from policy_engine.formats.record_reader import RecordFault, read_record
from policy_engine.store.changes import NEXT_INDEX
from policy_engine.store.control import read_control
from policy_engine.store.database import Reader, is_postgresql
from policy_engine.store.decision_log import PLACE_TAKEN
from policy_engine.store.tables import (
    blobs,
    changes,
    decision_index,
    decisions,
    draws,
    metadata,
    reviews,
    revisions,
)

_BY_A_DECISION: Final = "decision:"
_ON_SQLITE: Final = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
_ON_POSTGRESQL: Final = (
    "SELECT c.relname, t.tgenabled IN ('O', 'A') AND position('RAISE EXCEPTION' in p.prosrc) > 0 AND t.tgtype = 58"
    " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid"
    " WHERE t.tgname = 'only_grows' AND c.relnamespace = current_schema()::regnamespace"
)
"""58 is before, for each statement, on update, delete and truncate."""


def missing_triggers(reader: Reader) -> Iterator[str]:
    """Tables that are to grow only, and whose triggers do not refuse it."""
    only_grow = sorted(name for name, table in metadata.tables.items() if table.info["service"] == "SELECT, INSERT")
    if is_postgresql(reader):
        held = {table for table, refuses in reader.exec_driver_sql(_ON_POSTGRESQL) if refuses}
        gone = {table: f"trigger `only_grows` of the table `{table}`" for table in only_grow if table not in held}
    else:
        made = {name: " ".join(sql.split()).lower() for name, sql in reader.exec_driver_sql(_ON_SQLITE)}
        gone = {
            table: f"trigger `{name}`"
            for table in only_grow
            for change in ("update", "delete")
            if not (name := f"{table}_refuse_{change}")
            or made.get(name)
            != (
                f"create trigger {name} before {change} on {table} begin"
                f" select raise(abort, 'table {table} only grows: what is recorded is never changed'); end"
            )
        }
    for what in gone.values():
        yield f"the {what} is not there, or not as the migrations make it: what is recorded could be changed"


def wrong_revisions(reader: Reader, told: dict[int, Change]) -> Iterator[str]:
    """Rows of `revisions` that are not as the log tells, or are missing. `told` has the change of each revision that
    one tells of."""
    held = {row.number: row for row in reader.execute(select(revisions).order_by(revisions.c.number))}
    last = read_control(reader).revision
    for number in sorted({*held, *told, *range(1, last + 1)}):
        row, change = held.get(number), told.get(number)
        if row is None:
            yield f"membership revision {number} is missing in the table `revisions`"
        elif number > last:
            yield f"the table `revisions` has revision {number}, and the last one in force is {last}"
        elif change is not None and not _as_told((row.recorded_at, row.actor, row.added, row.reason), change):
            yield f"membership revision {number} is not the one of which the log tells: instant, actor, reason or count"
        elif change is None and not (row.actor.startswith(_BY_A_DECISION) and row.reason == PLACE_TAKEN):
            yield f"no change tells of membership revision {number}"


def _as_told(held: tuple[datetime, str, int, str], change: Change) -> bool:
    at, actor, added, reason = held
    event = change.event
    if at != change.at or actor not in (change.actor.key, change.actor.person):
        return False
    # Earlier releases told of a release's rows by the end of its case alone, which counts none of them.
    return not isinstance(event, MembersRecorded) or (added, reason) == (event.added, event.reason)


def wrong_draws(reader: Reader, told: dict[int, Change]) -> Iterator[str]:
    """Places on caps that the decision under whose id they were taken did not take."""
    query = (
        select(draws, revisions.c.actor, revisions.c.added, revisions.c.recorded_at.label("revised_at"))
        .join(revisions, revisions.c.number == draws.c.revision)
        .order_by(draws.c.row_id)
    )
    counted: Counter[int] = Counter()
    for row in reader.execute(query):
        if row.revision in told:
            continue
        counted[row.revision] += 1
        body = reader.scalar(select(decisions.c.body).where(decisions.c.id == row.actor.removeprefix(_BY_A_DECISION)))
        if body is None:
            if _retired(reader):
                continue
            yield f"a place of `{row.authorisation}` was taken by `{row.actor}`, which is not in the log"
            continue
        try:
            record = read_record(body)
        except RecordFault:
            continue
        known = {held.id for party in record.parties for held in party.known.authorisations or ()}
        subjects = {party.subject for party in record.parties if party.subject is not None}
        instants = {row.at, row.recorded_at, row.revised_at}
        if (
            not record.allowed
            or instants != {record.decided_at}
            or row.retracted
            or row.authorisation not in known
            # For an account or a service the record does not say who is behind it.
            or (all(one.startswith("person:") for one in subjects) and f"person:{row.person}" not in subjects)
        ):
            yield f"a place of `{row.authorisation}` on file is not the one that `{row.actor}` took"
    taken = select(revisions.c.number, revisions.c.added).where(revisions.c.actor.startswith(_BY_A_DECISION))
    for number, added in reader.execute(taken):
        if number not in told and counted[number] != added:
            yield f"revision {number} took {added} places on caps, and {counted[number]} are on file"


def _retired(reader: Reader) -> bool:
    return reader.scalar(select(changes.c.log_index).where(changes.c.kind == "year.retired").limit(1)) is not None


def wrong_retries(reader: Reader) -> Iterator[str]:
    """Decisions that name another one as the one before them under their request id than the one that is."""
    before = decisions.alias("before")
    query = (
        select(decisions.c.log_index, before.c.id, before.c.log_index.label("at"))
        .outerjoin(
            before,
            (before.c.request_id == decisions.c.request_id)
            & (before.c.caller == decisions.c.caller)
            & (before.c.attempt == decisions.c.attempt - 1),
        )
        .where(
            or_(
                decisions.c.attempt < 1,
                (decisions.c.request_id.is_(None)) & (decisions.c.attempt != 1),
                (decisions.c.attempt == 1) & (decisions.c.retry_of.is_not(None)),
                (decisions.c.attempt > 1)
                & (
                    decisions.c.retry_of.is_(None)
                    | (before.c.id.is_not(None) & (before.c.id != decisions.c.retry_of))
                    | (before.c.id.is_not(None) & (before.c.log_index > decisions.c.log_index))
                ),
            )
        )
        .order_by(decisions.c.log_index)
    )
    for row in reader.execute(query):
        yield f"entry {row.log_index} of the log names another earlier decision under its request id than there is"
    if _retired(reader):
        return
    lone = (
        select(decisions.c.log_index)
        .outerjoin(before, before.c.id == decisions.c.retry_of)
        .where(decisions.c.retry_of.is_not(None), before.c.id.is_(None))
    )
    for number in reader.scalars(lone):
        yield f"entry {number} of the log repeats a decision that is not in the log"


def wrong_reviews(reader: Reader) -> Iterator[str]:
    """Review cases that the decision which opened them did not open, and cases of decisions that are not on file."""
    held = {row.id: row for row in reader.execute(select(reviews))}
    named: set[str] = set()
    for body in reader.scalars(select(decisions.c.body).where(decisions.c.hold).order_by(decisions.c.log_index)):
        try:
            record = read_record(body)
        except RecordFault:
            continue
        for finding in record.findings:
            if finding.review is None or finding.review in named:
                continue
            named.add(finding.review)
            row = held.get(finding.review)
            if row is None:
                yield f"the review case `{finding.review}`, which `{record.id}` opened, is not on file"
                continue
            said = (row.subject, row.model, row.action, row.purpose, row.rule, row.opened_at, row.decision)
            if record.request is not None:
                key = review_key(record.request, record.model, finding.rule)
                opened = (key.subject, key.model, key.action, key.purpose, key.rule, record.decided_at, record.id)
                if said != opened:
                    yield f"the review case `{row.id}` on file is not the one that `{record.id}` opened"
    if not _retired(reader):
        for name in sorted(held.keys() - named):
            yield f"the review case `{name}` on file was opened by no decision"


def wrong_counters(reader: Reader) -> Iterator[str]:
    """Counters that stand before what is on file, so that what was decided before a change could count as newer."""
    control = read_control(reader)
    newest = reader.scalar(select(decisions.c.body).order_by(decisions.c.log_index.desc()).limit(1))
    try:
        revision = 0 if newest is None else read_record(newest).membership_revision
    except RecordFault:
        revision = 0
    if control.revision < revision:
        yield f"the membership revision is {control.revision}, and the last decision was made under {revision}"
    epochs = (select(func.max(changes.c.epoch)), select(func.max(decisions.c.control_epoch)))
    told = max((reader.scalar(query) or 0 for query in epochs), default=0)
    if control.epoch < told:
        yield f"the control epoch is {control.epoch}, and the log tells of {told}"


def missing_contents(reader: Reader, told: Iterator[Change]) -> Iterator[str]:
    """Archived books, reports and documents that a change names, and that are not there.

    The rows of a revision are not asked for: earlier releases kept none, and those on file have the digest.
    """
    held = set(reader.scalars(select(blobs.c.digest)))
    for change in told:
        for digest in _named(change):
            if digest not in held:
                yield f"the archived content `{digest}`, which the change `{change.id}` names, is not on file"


def _named(change: Change) -> tuple[str, ...]:
    match change.event:
        case BookFounded():
            return (change.event.archive,)
        case BookWatched() | BookApproved():
            return (change.event.archive, *(() if change.event.cases is None else (change.event.cases,)))
        case BookProposed():
            return (change.event.archive, *(report.digest for report in change.event.reports))
        case ReviewReleaseAsked():
            return (change.event.rows,)
        case _:
            return ()


def wrong_progress(reader: Reader, covered: int) -> Iterator[str]:
    """An index that claims to cover more than the log has, or has what it does not claim."""
    size = reader.scalar(select(NEXT_INDEX)) or 0
    beyond = reader.scalar(select(func.count()).where(decision_index.c.log_index >= covered)) or 0
    if covered > size or beyond:
        yield f"the index says that it covers {covered} entries of the log, which has {size}, and has {beyond} beyond"
