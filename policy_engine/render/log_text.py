"""What `log` tells: decisions, one record, counts as bars, saved reports; for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.text import Text

from policy_engine.domain import changes as events
from policy_engine.domain.counted import many
from policy_engine.domain.desk import RetiredYear
from policy_engine.domain.instants import format_instant
from policy_engine.formats.change import ChangeFault, decode_change
from policy_engine.formats.identifiers import shown
from policy_engine.formats.membership_writer import row_text
from policy_engine.formats.record_reader import RecordedDecision, RecordFault, read_record
from policy_engine.formats.roster_rows import decode_rows, each_row
from policy_engine.formats.spreadsheet import line
from policy_engine.render.tables import STATE_STYLES, show_pairs, show_rows
from policy_engine.render.words import second, who
from policy_engine.service.audit.inspect import BookAt, Page, Statistics, Unread
from policy_engine.service.audit.retired import retired_text
from policy_engine.shapes.record import PartyDocument
from policy_engine.store.change_list import LoggedChange
from policy_engine.store.index_search import Logged, Touch

_UNSTATED: Final = "-"
_WIDTH: Final = 40
"""Characters of the longest bar."""


def _cell(text: str | None, style: str = "") -> Text:
    """A cell: what callers sent is shown without anything that a terminal would obey."""
    return Text(_UNSTATED if text is None else shown(text, 200), style=style)


def page_document(page: Page) -> dict[str, object]:
    """The page as `GET /decisions` gives it."""
    told: dict[str, object] = msgspec.json.decode(msgspec.json.encode(page.document()))
    return told


def unread_document(unread: Sequence[Unread]) -> dict[str, object]:
    """The member that says what the filters could not find; none where there is nothing of the kind."""
    return {"unread": [msgspec.to_builtins(one.document()) for one in unread]} if unread else {}


def tell_unread(unread: Sequence[Unread], err: Console) -> None:
    """Say on standard error, beside whatever is printed, what the filters could not find, and how to find it."""
    for one in unread:
        option, what, kind = _UNREAD[one.name]
        many = f"more than {one.decisions:,}" if one.more else f"{one.decisions:,}"
        verb = "has" if one.decisions == 1 and not one.more else "have"
        err.print(
            f"of the other decisions {many} {verb} no {what} recorded, since no rule read it: {option} cannot find"
            f" them; --on-file {kind}:{one.sought} asks what was on file",
            markup=False,
        )


_UNREAD: Final = {
    "citizenship_country": ("--citizenship-country", "citizenship", "citizenship"),
    "organisation_country": ("--organisation-country", "country of an organisation", "headquarters"),
}
"""By the filter: its option, what a record does not have, and which fact is to be asked instead."""


def retired_document(retired: Sequence[RetiredYear]) -> dict[str, object]:
    """The member that says which years are no longer kept; none where all are."""
    return {"retired": [one.content.year for one in retired]} if retired else {}


def tell_retired(retired: Sequence[RetiredYear], err: Console) -> None:
    """Say on standard error, beside whatever is printed, which years are no longer kept."""
    for one in retired:
        err.print(retired_text(one), markup=False)


def tell_page(page: Page, out: Console) -> None:
    """The decisions, one to a line."""
    columns = ("log index", "decided at", "id", "decision", "subject", "action", "model", "place", "reason")
    rows: list[tuple[Text, ...]] = []
    for logged in page.decisions:
        start = (Text(str(logged.log_index)), Text(second(logged.at)), _cell(logged.id))
        try:
            told = read_record(logged.body)
        except RecordFault as error:
            rows.append((*start, Text(f"cannot be read: {error}", style="red"), *[Text("")] * 5))
            continue
        request = told.request
        cells = (
            None if request is None else f"{request.subject.type}:{request.subject.id}",
            None if request is None else request.action.value,
            told.model,
            None if request is None else request.place.country,
            told.reason_code,
        )
        rows.append((*start, _decision(told), *map(_cell, cells)))
    if rows:
        show_rows(columns, rows, where=out, spare=("log index", "place", "action", "model", "decided at"))
    more = "" if page.next_cursor is None else f"; there are more: --cursor {page.next_cursor}"
    count = len(page.decisions)
    out.print(Text(f"{many(count, 'decision')} of the log of size {page.as_of.size}{more}", "dim"))


def _decision(told: RecordedDecision) -> Text:
    held = ", held" if told.hold else ""
    return Text(f"{told.decision}{held}", style="green" if told.allowed else "red")


def statistics_document(counted: Statistics) -> dict[str, object]:
    """The counts for programs: each with its value by the name of what is counted by; `value` too where that is one."""
    return {
        "by": ",".join(counted.by),
        "counts": [
            {
                **({"value": count.values[0]} if len(counted.by) == 1 else {}),
                **dict(zip(counted.by, count.values, strict=True)),
                "number": count.number,
            }
            for count in counted.counts
        ],
        "total": counted.total,
        "as_of": msgspec.to_builtins(counted.as_of.document()),
        **retired_document(counted.retired),
        **unread_document(counted.unread),
    }


def statistics_csv(counted: Statistics) -> str:
    """The counts as CSV that a spreadsheet may open; a value that was not stated is an empty cell."""
    rows = ((*(value or "" for value in count.values), str(count.number)) for count in counted.counts)
    return "".join(line(cells, end="\n") for cells in ((*counted.by, "decisions"), *rows))


def tell_statistics(counted: Statistics, decision: str | None, out: Console) -> None:
    """The counts as bars; `decision` is the only one that is counted, if one is."""
    most = max((count.number for count in counted.counts), default=0)
    rows = [
        (
            *map(_cell, count.values),
            Text(f"{count.number:,}"),
            Text("\N{FULL BLOCK}" * max(1, round(_WIDTH * count.number / most)), style="cyan"),
        )
        for count in counted.counts
    ]
    show_rows((*counted.by, "decisions", ""), rows, where=out, spare=("",), right=("decisions",))
    what = {"deny": ("denial", "denials"), "allow": ("allow", "allows")}.get(decision or "", ("decision", "decisions"))
    told = f"{counted.total:,} {what[counted.total != 1]} of the log of size {counted.as_of.size}"
    out.print(Text(told, style="dim"))
    if sum(count.number for count in counted.counts) > counted.total:
        out.print(Text("one that several rules decided counts for each of them", style="dim"))


def tell_decisions(counted: Statistics, page: Page, out: Console) -> None:
    """How many there are of each answer, and the newest of them."""
    totals = {count.values[0]: count.number for count in counted.counts}
    out.print(f"{totals.get('allow', 0):,} allowed, {totals.get('deny', 0):,} denied")
    tell_page(page, out)


def touches_document(touches: Sequence[Touch], retired: Sequence[RetiredYear]) -> dict[str, object]:
    told = [
        {**asdict(touch), "first": format_instant(touch.first), "last": format_instant(touch.last)} for touch in touches
    ]
    return {"touched": told, **retired_document(retired)}


def tell_touches(touches: Sequence[Touch], out: Console) -> None:
    """Who asked, what for, and what they were told."""
    rows: list[tuple[Text, ...]] = []
    for touch in touches:
        subject = None if touch.subject is None else f"{touch.subject_type}:{touch.subject}"
        style = "green" if touch.decision == "allow" else "red"
        instants = (Text(second(touch.first)), Text(second(touch.last)))
        rows.append(
            (_cell(subject), _cell(touch.action), _cell(touch.decision, style), Text(f"{touch.count:,}"), *instants)
        )
    if rows:
        show_rows(("subject", "action", "answer", "times", "first", "last"), rows, where=out, spare=("first",))
    subjects = {(touch.subject_type, touch.subject) for touch in touches}
    allowed = {(touch.subject_type, touch.subject) for touch in touches if touch.decision == "allow"}
    out.print(Text(f"{len(subjects):,} asked, {len(allowed):,} of them were allowed", style="dim"))


def changes_document(changes: Sequence[events.Change]) -> dict[str, object]:
    return {
        "changes": [
            {
                "id": change.id,
                "at": format_instant(change.at),
                "kind": change.kind,
                "actor": who(change.actor),
                "event": msgspec.to_builtins(change.event),
            }
            for change in changes
        ]
    }


def tell_changes(changes: Sequence[events.Change], out: Console) -> None:
    """What people stopped or let go; the id is the one of the log's entry, for which there is a receipt."""
    rows = []
    for change in changes:
        subject, reason = _told_of(change)
        start = (Text(second(change.at)), _cell(change.id), Text(change.kind))
        rows.append((*start, *map(_cell, (who(change.actor), subject, reason))))
    if rows:
        show_rows(("at", "id", "what", "who", "of", "why"), rows, where=out, spare=("at",))
    out.print(Text(f"{len(changes):,} freezes, liftings and reviews on record", style="dim"))


def _told_of(change: events.Change) -> tuple[str, str]:
    """What the change is of, and why it was made or what it says."""
    return _ANSWERS[type(change.event)](change.event)


def _approved(event: events.BookApproved) -> tuple[str, str]:
    since = f"in force from {second(event.in_force)}"
    if event.cases is not None:
        since += ", with what becomes of the worked examples acknowledged"
    return event.proposal, f"{since}: {event.note}" if event.note else since


_ANSWERS: Final[dict[type, Callable[[Any], tuple[str, str]]]] = {
    events.FreezeDeclared: lambda event: (event.freeze.id, f"{event.freeze.reason} ({event.freeze.authority})"),
    events.FreezeLiftAsked: lambda event: (event.freeze, event.reason),
    events.FreezeLifted: lambda event: (event.freeze, event.reason),
    events.ReviewReleaseAsked: lambda event: (f"{event.case} {event.key.subject}", event.rationale),
    events.ReviewClosed: lambda event: (f"{event.case} {event.key.subject}", f"{event.outcome}: {event.rationale}"),
    events.BookFounded: lambda event: (event.fingerprint, ""),
    events.BookWatched: lambda event: (
        event.fingerprint,
        "" if event.cases is None else "worked examples went or changed, and nobody was asked",
    ),
    events.BookProposed: lambda event: (
        event.proposal,
        f"back to an earlier book: {event.note}" if event.rollback else event.note,
    ),
    events.BookApproved: _approved,
    events.MembersProposed: lambda event: (event.change, f"{event.added} rows: {event.reason}"),
    events.ProposalWithdrawn: lambda event: (event.proposal, event.reason),
    events.MembersApproved: lambda event: (event.change, event.note),
    events.MembersWithdrawn: lambda event: (event.change, event.reason),
    events.MembersRecorded: lambda event: (f"revision {event.revision}", f"{event.added} rows: {event.reason}"),
    events.KeyCreated: lambda event: (event.key, f"{event.name}: {' '.join(event.rights)}"),
    events.KeyRevoked: lambda event: (event.key, ""),
    events.HoldPlaced: lambda event: (event.hold.id, f"{event.hold.scope.text}: {event.hold.reason}"),
    events.HoldReleased: lambda event: (event.hold, event.reason),
    events.YearRetired: lambda event: (str(event.year), event.reason),
    events.MembersAsked: lambda event: (event.on_file, f"{event.what} by what was on file: {' '.join(event.filters)}"),
    events.ReportRead: lambda event: (event.proposal, f"the report `{event.report}`, which names people"),
}


ROWS_LISTED: Final = 3
"""So many rows of the members are told of each change in a list; `log show` has all of them."""

RowsOf = Callable[[LoggedChange], tuple[str, ...] | None]
"""The rows of the members that a change comes with, each on its line; `None` where it comes with none."""


def rows_of(content: Callable[[str], bytes | None]) -> RowsOf:
    """How the rows of a change are found, by a function that gives long content by its digest."""

    def found(logged: LoggedChange) -> tuple[str, ...] | None:
        try:
            event = decode_change(logged.body).event
        except ChangeFault:
            return None
        digest = events.rows_named(event)
        kept = None if digest is None else content(digest)
        if kept is None:
            return None
        return tuple(row_text(row) for row in each_row(decode_rows(kept)))

    return found


def listed_document(changes: Sequence[LoggedChange], rows: RowsOf, *, more: bool) -> dict[str, object]:
    """The changes with their numbers in the log, the first rows of members of each, and whether there are earlier
    ones."""
    return {"changes": [logged_change_document(one, rows, ROWS_LISTED) for one in changes], "more": more}


def logged_change_document(logged: LoggedChange, rows: RowsOf, most: int | None = None) -> dict[str, object]:
    """The change as it stands in the log, with its number, and the rows of members that it comes with."""
    told: dict[str, object] = {"log_index": logged.log_index, "change": json.loads(logged.body)}
    found = rows(logged)
    if found is not None:
        told["rows"] = {"count": len(found), "told": list(found[:most])}
    return told


def tell_listed(changes: Sequence[LoggedChange], rows_of_change: RowsOf, out: Console, *, more: bool) -> None:
    """The changes, one to a line, and then the first rows of members of each."""
    rows = []
    for one in changes:
        subject, reason = _told_of_logged(one)
        start = (Text(str(one.log_index)), Text(second(one.at)), _cell(one.id), Text(one.kind))
        rows.append((*start, _cell(one.person), _cell(one.actor), _cell(subject), _cell(reason)))
    if rows:
        columns = ("log index", "at", "id", "kind", "person", "key", "of", "why")
        show_rows(columns, rows, where=out, spare=("log index", "key", "at"))
    for one in changes:
        _tell_first_rows(one.id, rows_of_change(one) or (), out)
    count = many(len(changes), "change")
    out.print(Text(f"{count}; there are earlier ones: see --limit and --to" if more else count, style="dim"))


def _tell_first_rows(change: str, rows: tuple[str, ...], out: Console) -> None:
    if not rows:
        return
    out.print(Text(f"\nrows of {change}", style="bold"))
    for row in rows[:ROWS_LISTED]:
        out.print(Text(row))
    if len(rows) > ROWS_LISTED:
        out.print(Text(f"and {len(rows) - ROWS_LISTED:,} more: policy-engine log show {change}", style="dim"))


def tell_change(logged: LoggedChange, rows: RowsOf, out: Console) -> None:
    """The change for a person, whole, with every row of the members that it comes with."""
    subject, reason = _told_of_logged(logged)
    _tell_pairs(
        [
            ("log index", logged.log_index),
            ("change", logged.id),
            ("kind", logged.kind),
            ("at", format_instant(logged.at)),
            ("person", logged.person),
            ("key", logged.actor),
            ("of", subject),
            ("why", reason),
        ],
        out,
    )
    event = json.loads(logged.body).get("event", {})
    out.print(Text("\nevent", style="bold"))
    _tell_pairs(((name, value if isinstance(value, str) else json.dumps(value)) for name, value in event.items()), out)
    found = rows(logged)
    if found is not None:
        out.print(Text(f"\n{len(found):,} rows", style="bold"))
        for row in found:
            out.print(Text(row))


def _told_of_logged(logged: LoggedChange) -> tuple[str, str]:
    try:
        return _told_of(decode_change(logged.body))
    except ChangeFault as fault:
        return "", f"cannot be read: {fault}"


def book_document(found: BookAt) -> dict[str, object]:
    book, proposal = found.book, found.proposal
    return {
        "at": format_instant(found.at),
        "fingerprint": None if book is None else book.fingerprint,
        "in_force_from": None if book is None else format_instant(book.start),
        "via": None if book is None else book.via,
        "proposal": None if proposal is None else proposal.id,
        "note": None if proposal is None else proposal.content.note,
        "proposed_by": None if proposal is None else who(proposal.author),
        "proposed_at": None if proposal is None else format_instant(proposal.proposed_at),
        "approved_by": None if proposal is None or proposal.approver is None else who(proposal.approver),
        "approved_at": None
        if proposal is None or proposal.approved_at is None
        else format_instant(proposal.approved_at),
        "taken_by": None if book is None or proposal is not None else who(book.actor),
    }


def tell_book(found: BookAt, out: Console) -> None:
    """Which book was in force, and how it came to be."""
    if found.book is None:
        out.print(f"no book was in force at {format_instant(found.at)}")
        return
    _tell_pairs(book_document(found).items(), out)


def _tell_pairs(pairs: Iterable[tuple[str, object]], out: Console) -> None:
    told = ((name.replace("_", " "), _cell(str(value))) for name, value in pairs if value not in (None, "", (), []))
    show_pairs(told, where=out)


def record_document(logged: Logged) -> dict[str, object]:
    """The record with its number in the log."""
    return {"log_index": logged.log_index, "record": json.loads(logged.body)}


def tell_record(logged: Logged, out: Console) -> None:
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
        ],
        out,
    )
    out.print()
    show_rows(
        ("rule", "regime", "effect", "state", "codes", "lifted by", "review"),
        [
            [
                _cell(one)
                for one in (row.rule, row.regime, row.effect, row.state, " ".join(row.codes), row.lifted_by, row.review)
            ]
            for row in told.findings
        ],
        where=out,
        spare=("effect", "regime", "review", "lifted by"),
        styles=[STATE_STYLES.get(row.state, "") for row in told.findings],
        title="findings",
    )
    for party in told.parties:
        _tell_party(party, out)


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
        None if place.ip_country is None else f"IP in {place.ip_country or 'no country'}",
    ]
    goes_to = [destination.country, destination.subdivision, destination.postcode, destination.host]
    end_user = request.end_user
    return [
        ("subject", f"{request.subject.type}:{request.subject.id}"),
        ("acting for", request.acting_for),
        ("end user", None if end_user is None else f"{end_user.type}:{end_user.id}"),
        ("action", request.action.value),
        ("model", told.model if told.tier is None else f"{told.model} ({told.tier})"),
        ("purpose", request.purpose),
        ("place", ", ".join(one for one in where if one)),
        ("destination", ", ".join(one for one in goes_to if one)),
        ("claims", request.exception),
        ("request id", request.request_id),
    ]


def _tell_party(party: PartyDocument, out: Console) -> None:
    """What was on file for a party; of what was looked at, what nobody filed reads `not on file`."""
    name = party.subject or party.organisation or "nobody"
    facts: list[tuple[str, Text]] = []
    if party.organisation is not None:
        facts.append(("organisation", _cell(party.organisation)))
    facts += [
        (fact.replace("_", " "), _cell(_fact(getattr(party.known, fact)))) for fact in sorted(party.known.looked_at)
    ]
    for answer in ("unknown", "yes"):
        words = sorted(word for word, said in party.words.items() if said == answer)
        facts.append((f"words: {answer}", _cell(", ".join(words)) if words else Text(_UNSTATED)))
    out.print()
    show_rows(("fact", "on file"), facts, where=out, title=f"{party.role} {shown(name, 200)}")


def _fact(value: Any) -> str:
    if value is None:
        return "not on file"
    if isinstance(value, tuple):
        return ", ".join(_fact(one) for one in value) or "none"
    if isinstance(value, str | bool):
        return str(value).lower() if isinstance(value, bool) else value
    return " ".join(str(one) for one in msgspec.to_builtins(value).values() if one is not None)
