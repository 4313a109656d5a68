"""Verified years, replays and legal holds as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import UNSET
from rich.console import Console
from rich.text import Text

from policy_engine.domain.counted import many
from policy_engine.ledger.note import encode_base64
from policy_engine.service.audit.replay import KnownNow, Replayed
from policy_engine.service.sealing.verification import VerifiedYear
from policy_engine.shapes.log import HoldDocument, HoldsDocument

_PUT_BACK: Final = (
    "the database was emptied, replaced or put back, or a year was taken out of it: put back the one that belongs here"
)


def tell_lost(lost: Mapping[int, tuple[Path, ...]], err: Console) -> None:
    """The files of years that the database does not have."""
    for paths in lost.values():
        for path in paths:
            err.print(f"`{path}` is of a year that is not in the database", markup=False)
    if lost:
        err.print(_PUT_BACK, markup=False)


def tell_year(found: VerifiedYear, name: str, out: Console) -> None:
    """What was verified of a year of the log, which has a name of its own."""
    at = found.checkpoint
    if at is None:
        out.print(f"{found.year}: nothing is sealed yet")
        return
    parts = [f"{at.size} entries, root {encode_base64(at.root)}"]
    if found.retired:
        parts.append("retired: the hashes alone are left, and lead to it")
    if found.held_against:
        parts.append(f"begins with the trees of {', '.join(map(str, found.held_against))} entries seen before")
    if found.compared is not None:
        parts.append(f"{found.compared} entries of the database are those sealed, {found.waiting} wait to be sealed")
    out.print(f"{name}: {'; '.join(parts)}", markup=False)


def year_document(found: VerifiedYear) -> dict[str, object]:
    """The same for programs."""
    at = found.checkpoint
    return {
        "year": found.year,
        "origin": None if at is None else at.origin,
        "size": None if at is None else at.size,
        "root": None if at is None else encode_base64(at.root),
        "retired": found.retired,
        "held_against": list(found.held_against),
        "compared": found.compared,
        "waiting": found.waiting,
    }


_SHORTENED: Final = (
    "the record is shortened: the facts were left out, since it would have been too long; request and answer are"
    " compared with what this engine makes of the same request from the database as known then"
)


def tell_replay(found: Replayed | KnownNow, out: Console, *, same: bool) -> None:
    """Whether the same came out again, and every place that differs."""
    compared = found.same if isinstance(found, Replayed) else found.allowed_now
    word = "not compared" if compared is None else "the same" if same else "not the same"
    out.print(Text(f"{found.decision_id}: {word}"))
    if isinstance(found, Replayed) and found.shortened and compared is not None:
        out.print(Text(_SHORTENED))
    if found.obstacle is not None:
        out.print(Text(found.obstacle))
    if isinstance(found, Replayed) and found.engine != found.engine_now:
        out.print(Text(f"decided by engine {found.engine}, and again by {found.engine_now}"))
    if isinstance(found, KnownNow) and found.allowed_now is not None and found.allowed_now != found.allowed:
        told = {True: "allow", False: "deny"}
        out.print(Text(f"recorded {told[found.allowed]}; with what is known now {told[found.allowed_now]}"))
    for one in found.differences:
        out.print(Text(f"  {one.path}: recorded {one.recorded or 'nothing'}, now {one.now or 'nothing'}"))


def tell_holds(listed: HoldsDocument, out: Console) -> None:
    """The legal holds, one to a line."""
    if not listed.holds:
        out.print("no legal hold was ever placed")
    for one in listed.holds:
        out.print(Text(f"{one.id}  {one.status}  {one.scope}  {one.placed_by.person}  {one.placed_at}  {one.reason}"))


def tell_hold(held: HoldDocument, out: Console) -> None:
    """What a legal hold keeps."""
    out.print(Text(f"{held.id}: {held.scope} is {'held' if held.status == 'held' else 'released'}"))
    if held.records is not UNSET:
        out.print(f"{many(held.records, 'record is', 'records are')} held now")
