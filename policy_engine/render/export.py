"""Exports of decisions: the exact bytes of the records, or flat columns for a spreadsheet, in the order of the log.

An export is pinned to a size of the log: the same filters and size give the same bytes again. It is read window by
window, so it takes the same memory however long it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Request, Subject
from policy_engine.formats.record_reader import RecordedDecision, RecordFault, read_record
from policy_engine.formats.spreadsheet import line, listed
from policy_engine.store.decision_index import Filters, deciding_rules, marks_of, usable_authorisations
from policy_engine.store.index_search import DecisionIndex, Logged

WINDOW: Final = 200
"""Entries of the log that are read at once: each may have 64 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of the export, and how far in the log it goes."""

    data: bytes
    through: int


def export(
    index: DecisionIndex, filters: Filters, *, size: int, form: str, keep: Callable[[bytes], bool] | None = None
) -> Iterator[Chunk]:
    """The decisions below the size in one of `FORMS`, or those alone whose bytes are to be kept.

    Raises `LogUnavailable` and `LogDamaged`, also in the middle: what was given by then is not the export.
    """
    shape = FORMS[form]
    if shape.head:
        yield Chunk(data=shape.head, through=0)
    for begin in range(0, size, WINDOW):
        found = kept(index.since(filters, size=size, begin=begin, width=WINDOW), keep)
        yield Chunk(data=b"".join(map(shape.line, found)), through=min(begin + WINDOW, size))


def kept(found: Iterable[Logged], keep: Callable[[bytes], bool] | None) -> list[Logged]:
    """The decisions whose bytes are to be kept."""
    return [one for one in found if keep is None or keep(one.body)]


def _json_line(logged: Logged) -> bytes:
    return logged.body + b"\n"


COLUMNS: Final[Mapping[str, type]] = {
    "log_index": int,
    "decision_id": str,
    "decided_at": datetime,
    "valid_until": datetime,
    "decision": str,
    "hold": bool,
    "reason_code": str,
    "reason_rule": str,
    "subject_type": str,
    "subject": str,
    "acting_for": str,
    "organisations": list,
    "end_user_type": str,
    "end_user": str,
    "model": str,
    "tier": str,
    "action": str,
    "purpose": str,
    "place_country": str,
    "place_subdivision": str,
    "ip_country": str,
    "destination_country": str,
    "destination_host": str,
    "citizenship_countries": list,
    "organisation_countries": list,
    "authorisations": list,
    "codes": list,
    "rules": list,
    "deciding_rules": list,
    "missing": list,
    "gateway": str,
    "caller": str,
    "request_id": str,
    "policy_version": str,
    "membership_revision": int,
    "control_epoch": int,
    "engine": str,
}
"""The columns of the flat form, and what is in their cells; a list is one of texts, sorted. In text a cell with several
values has a line break between them."""

Value: TypeAlias = str | int | bool | datetime | list[str] | None


def flat(logged: Logged) -> dict[str, Value]:
    """The decision by `COLUMNS`: `None` is what was not stated or is not known."""
    try:
        told = _flat(read_record(logged.body))
    except RecordFault:
        # What a later release wrote; the line says that the decision is there.
        told = {}
    told |= {"log_index": logged.log_index, "decision_id": logged.id, "decided_at": logged.at}
    return {column: told.get(column) for column in COLUMNS}


def _csv_line(logged: Logged) -> bytes:
    return line(map(_cell, flat(logged).values())).encode()


def _cell(value: Value) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return format_instant(value)
        case list():
            return listed(value)
        case _:
            return str(value)


def _flat(record: RecordedDecision) -> dict[str, Value]:
    marks: dict[str, list[str]] = {}
    for kind, value in sorted(marks_of(record)):
        marks.setdefault(kind, []).append(value)
    return {
        "valid_until": record.valid_until,
        "decision": record.decision,
        "hold": record.hold,
        "reason_code": record.reason_code,
        "reason_rule": record.reason_rule,
        "organisations": marks.get("organisation", []),
        "model": record.model,
        "tier": record.tier,
        "citizenship_countries": marks.get("citizenship_country", []),
        "organisation_countries": marks.get("organisation_country", []),
        "authorisations": sorted(usable_authorisations(record)),
        "codes": marks.get("code", []),
        "rules": marks.get("rule", []),
        "deciding_rules": list(deciding_rules(record)),
        "missing": list(record.missing),
        "gateway": record.caller.gateway,
        "caller": record.caller.id,
        "policy_version": record.policy_version,
        "membership_revision": record.membership_revision,
        "control_epoch": record.control_epoch,
        "engine": record.engine,
        **({} if record.request is None else _asked(record.request)),
    }


def _asked(request: Request) -> dict[str, Value]:
    end_user: Subject | None = request.end_user
    return {
        "subject_type": request.subject.type.value,
        "subject": request.subject.id,
        "acting_for": request.acting_for,
        "end_user_type": None if end_user is None else end_user.type.value,
        "end_user": None if end_user is None else end_user.id,
        "action": request.action.value,
        "purpose": request.purpose,
        "place_country": request.place.country,
        "place_subdivision": request.place.subdivision,
        "ip_country": request.place.ip_country,
        "destination_country": request.destination.country,
        "destination_host": request.destination.host,
        "request_id": request.request_id,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form of export: its media type, what it begins with, and the line of a decision."""

    media_type: str
    head: bytes
    line: Callable[[Logged], bytes]


FORMS: Final[Mapping[str, Form]] = {
    "jsonl": Form(media_type="application/jsonl", head=b"", line=_json_line),
    "csv": Form(media_type="text/csv; charset=utf-8; header=present", head=line(COLUMNS).encode(), line=_csv_line),
}
"""The forms by their names: `jsonl` has the record's own bytes, one to a line, and `csv` flat columns (RFC 4180)."""
