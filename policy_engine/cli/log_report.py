"""What `log` tells: decisions, one record, counts as bars, saved reports; for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from policy_engine.cli.output import err, out
from policy_engine.domain.changes import (
    Actor,
    Change,
    FreezeDeclared,
    FreezeLiftAsked,
    FreezeLifted,
    ReviewClosed,
    ReviewReleaseAsked,
)
from policy_engine.domain.desk import RetiredYear
from policy_engine.domain.instants import format_instant
from policy_engine.formats.identifiers import shown
from policy_engine.formats.record_reader import RecordedDecision, RecordedParty, RecordFault, read_record
from policy_engine.service.inspect import BookAt, Page, Statistics
from policy_engine.service.retired import retired_text
from policy_engine.store.decision_index import Logged, Touch

_WIDTH: Final = 40
_STYLES: Final = {"deciding": "bold", "lifted": "dim", "advisory": "yellow", "suspended": "dim", "note": ""}
_UNSTATED: Final = "-"


def _second(at: datetime) -> str:
    return format_instant(at)[:19] + "Z"


def _cell(text: str | None, style: str = "") -> Text:
    """A cell: what callers sent is shown without anything that a terminal would obey."""
    return Text(_UNSTATED if text is None else shown(text, 200), style=style)


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def page_document(page: Page) -> dict[str, object]:
    """The page as `GET /decisions` gives it."""
    return {
        "decisions": [json.loads(logged.body) for logged in page.decisions],
        "next_cursor": page.next_cursor,
        "as_of": page.as_of.document(),
        **retired_document(page.retired),
    }


def retired_document(retired: Sequence[RetiredYear]) -> dict[str, object]:
    """The member that says which years are no longer kept; none where all are."""
    return {"retired": [one.content.year for one in retired]} if retired else {}


def tell_retired(retired: Sequence[RetiredYear]) -> None:
    """Say on standard error, beside whatever is printed, which years are no longer kept."""
    for one in retired:
        err.print(retired_text(one), markup=False)


def tell_page(page: Page) -> None:
    """The decisions, one to a line."""
    table = _table("log index", "decided at", "id", "decision", "subject", "action", "model", "place", "reason")
    for logged in page.decisions:
        start = (Text(str(logged.log_index)), Text(_second(logged.at)), _cell(logged.id))
        try:
            told = read_record(logged.body)
        except RecordFault as error:
            table.add_row(*start, Text(f"cannot be read: {error}", style="red"))
            continue
        request = told.request
        cells = (
            None if request is None else f"{request.subject.type}:{request.subject.id}",
            None if request is None else request.action.value,
            told.model,
            None if request is None else request.place.country,
            told.reason_code,
        )
        table.add_row(*start, _decision(told), *map(_cell, cells))
    if page.decisions:
        out.print(table)
    more = "" if page.next_cursor is None else f"; there are more: --cursor {page.next_cursor}"
    count = len(page.decisions)
    out.print(
        Text(f"{count} {'decision' if count == 1 else 'decisions'} of the log of size {page.as_of.size}{more}", "dim")
    )


def _decision(told: RecordedDecision) -> Text:
    held = ", held" if told.hold else ""
    return Text(f"{told.decision}{held}", style="green" if told.allowed else "red")


def statistics_document(counted: Statistics) -> dict[str, object]:
    return {
        "by": counted.by,
        "counts": [{"value": count.value, "number": count.number} for count in counted.counts],
        "total": sum(count.number for count in counted.counts),
        "as_of": counted.as_of.document(),
        **retired_document(counted.retired),
    }


def tell_statistics(counted: Statistics) -> None:
    """The counts as bars."""
    most = max((count.number for count in counted.counts), default=0)
    table = _table(counted.by, "decisions", "")
    table.columns[1].justify = "right"
    for count in counted.counts:
        bar = Bar(size=most, begin=0, end=count.number, width=_WIDTH, color="cyan")
        table.add_row(_cell(count.value), Text(f"{count.number:,}"), bar)
    if counted.counts:
        out.print(table)
    total = sum(count.number for count in counted.counts)
    out.print(Text(f"{total:,} decisions of the log of size {counted.as_of.size}", style="dim"))


def tell_decisions(counted: Statistics, page: Page) -> None:
    """How many there are of each answer, and the newest of them."""
    totals = {count.value: count.number for count in counted.counts}
    out.print(f"{totals.get('allow', 0):,} allowed, {totals.get('deny', 0):,} denied")
    tell_page(page)


def touches_document(touches: Sequence[Touch], retired: Sequence[RetiredYear]) -> dict[str, object]:
    return {
        "touched": [
            {
                "subject": touch.subject,
                "subject_type": touch.subject_type,
                "action": touch.action,
                "decision": touch.decision,
                "count": touch.count,
                "first": format_instant(touch.first),
                "last": format_instant(touch.last),
            }
            for touch in touches
        ],
        **retired_document(retired),
    }


def tell_touches(touches: Sequence[Touch]) -> None:
    """Who asked, what for, and what they were told."""
    table = _table("subject", "action", "answer", "times", "first", "last")
    for touch in touches:
        subject = None if touch.subject is None else f"{touch.subject_type}:{touch.subject}"
        style = "green" if touch.decision == "allow" else "red"
        table.add_row(
            _cell(subject),
            _cell(touch.action),
            _cell(touch.decision, style),
            Text(f"{touch.count:,}"),
            Text(_second(touch.first)),
            Text(_second(touch.last)),
        )
    if touches:
        out.print(table)
    subjects = {(touch.subject_type, touch.subject) for touch in touches}
    allowed = {(touch.subject_type, touch.subject) for touch in touches if touch.decision == "allow"}
    out.print(Text(f"{len(subjects):,} asked, {len(allowed):,} of them were allowed", style="dim"))


def changes_document(changes: Sequence[Change]) -> dict[str, object]:
    return {
        "changes": [
            {
                "id": change.id,
                "at": format_instant(change.at),
                "kind": change.kind,
                "actor": _actor(change.actor),
                "event": msgspec.to_builtins(change.event),
            }
            for change in changes
        ]
    }


def tell_changes(changes: Sequence[Change]) -> None:
    """What people stopped or let go."""
    table = _table("at", "what", "who", "of", "why")
    for change in changes:
        subject, reason = _told_of(change)
        table.add_row(
            Text(_second(change.at)), Text(change.kind), _cell(_actor(change.actor)), _cell(subject), _cell(reason)
        )
    if changes:
        out.print(table)
    out.print(Text(f"{len(changes):,} freezes, liftings and reviews on record", style="dim"))


def _told_of(change: Change) -> tuple[str, str]:
    match change.event:
        case FreezeDeclared(freeze=freeze):
            return freeze.id, f"{freeze.reason} ({freeze.authority})"
        case FreezeLiftAsked() | FreezeLifted():
            return change.event.freeze, change.event.reason
        case ReviewReleaseAsked():
            return f"{change.event.case} {change.event.key.subject}", change.event.rationale
        case ReviewClosed():
            return (
                f"{change.event.case} {change.event.key.subject}",
                f"{change.event.outcome}: {change.event.rationale}",
            )
        case _:
            return "", ""


def _actor(actor: Actor) -> str:
    return actor.person or actor.key


def book_document(found: BookAt) -> dict[str, object]:
    book, proposal = found.book, found.proposal
    return {
        "at": format_instant(found.at),
        "fingerprint": None if book is None else book.fingerprint,
        "in_force_from": None if book is None else format_instant(book.start),
        "via": None if book is None else book.via,
        "proposal": None if proposal is None else proposal.id,
        "note": None if proposal is None else proposal.content.note,
        "proposed_by": None if proposal is None else _actor(proposal.author),
        "proposed_at": None if proposal is None else format_instant(proposal.proposed_at),
        "approved_by": None if proposal is None or proposal.approver is None else _actor(proposal.approver),
        "approved_at": None
        if proposal is None or proposal.approved_at is None
        else format_instant(proposal.approved_at),
        "taken_by": None if book is None or proposal is not None else _actor(book.actor),
    }


def tell_book(found: BookAt) -> None:
    """Which book was in force, and how it came to be."""
    if found.book is None:
        out.print(f"no book was in force at {format_instant(found.at)}")
        return
    _tell_pairs(book_document(found).items())


def _tell_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, "", (), []):
            table.add_row(name.replace("_", " "), _cell(str(value)))
    out.print(table)


def record_document(logged: Logged) -> dict[str, object]:
    """The record with its number in the log."""
    return {"log_index": logged.log_index, "record": json.loads(logged.body)}


def tell_record(logged: Logged) -> None:
    """The record for a person. Raises nothing for one of a later release: it is shown as it stands."""
    try:
        told = read_record(logged.body)
    except RecordFault as error:
        out.print(Text(f"log index {logged.log_index}: {error}", style="yellow"))
        out.print(_cell(logged.body.decode(errors="replace")))
        return
    held = " and held for a review" if told.hold else ""
    style = "bold green" if told.allowed else "bold red"
    out.print(Text(f"{told.decision.upper()}{held}", style=style), Text(f"  {told.reason_code} by {told.reason_rule}"))
    _tell_pairs(
        [
            ("log index", logged.log_index),
            ("decision", told.id),
            ("decided at", format_instant(told.decided_at)),
            ("valid until", format_instant(told.valid_until)),
            ("policy version", told.policy_version),
            ("membership revision", told.membership_revision),
            ("control epoch", told.control_epoch),
            ("engine", told.engine),
            ("asked by key", told.caller.id),
            ("of gateway", told.caller.gateway),
            *_request(told),
            ("missing", " ".join(told.missing)),
        ]
    )
    findings = _table("rule", "regime", "effect", "state", "codes", "lifted by", "review", title="\nfindings")
    for row in told.findings:
        cells = (row.rule, row.regime, row.effect, row.state, " ".join(row.codes), row.lifted_by, row.review)
        findings.add_row(*map(_cell, cells), style=_STYLES.get(row.state, ""))
    out.print(findings)
    for party in told.parties:
        _tell_party(party)


def _request(told: RecordedDecision) -> list[tuple[str, object]]:
    request = told.request
    if request is None:
        return [("request", f"by its digest alone: {told.request_digest}"), ("model", told.model)]
    place, destination = request.place, request.destination
    where = [
        place.country,
        place.subdivision,
        place.postcode,
        place.ip,
        place.ip_country and f"IP in {place.ip_country}",
    ]
    end_user = request.end_user
    return [
        ("subject", f"{request.subject.type}:{request.subject.id}"),
        ("acting for", request.acting_for),
        ("end user", None if end_user is None else f"{end_user.type}:{end_user.id}"),
        ("action", request.action.value),
        ("model", told.model if told.tier is None else f"{told.model} ({told.tier})"),
        ("purpose", request.purpose),
        ("place", ", ".join(one for one in where if one)),
        ("destination", ", ".join(one for one in (destination.country, destination.host) if one)),
        ("claims", request.exception),
        ("request id", request.request_id),
    ]


def _tell_party(party: RecordedParty) -> None:
    """What was on file for a party; of what was looked at, what nobody filed reads `not on file`."""
    who = party.subject or party.organisation or "nobody"
    facts = _table("fact", "on file", title=f"\n{party.role} {shown(who, 200)}")
    if party.organisation is not None:
        facts.add_row("organisation", _cell(party.organisation))
    for name in sorted(party.looked_at):
        facts.add_row(name.replace("_", " "), _cell(_fact(getattr(party, name))))
    for answer in ("unknown", "yes"):
        words = sorted(word for word, said in party.words.items() if said == answer)
        facts.add_row(f"words: {answer}", _cell(", ".join(words)) if words else Text(_UNSTATED))
    out.print(facts)


def _fact(value: Any) -> str:
    if value is None:
        return "not on file"
    if isinstance(value, tuple):
        return ", ".join(_fact(one) for one in value) or "none"
    if isinstance(value, str | bool):
        return str(value).lower() if isinstance(value, bool) else value
    return " ".join(str(one) for one in msgspec.to_builtins(value).values() if one is not None)
