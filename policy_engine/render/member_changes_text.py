"""Changes of members as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeVar

from rich.console import Console
from rich.text import Text

from policy_engine.render.administration_text import told_withdrawal
from policy_engine.render.reviews_text import tell_rows
from policy_engine.render.tables import show_pairs, show_rows
from policy_engine.render.words import who, whole
from policy_engine.shapes.members import ChangeFileDocument, ChangesDocument, EffectsDocument

One = TypeVar("One")
Key = TypeVar("Key", bound=Hashable)

TOLD: Final = 20
"""So many who gain, and so many who lose, are told one by one; --json has more."""


def tell_changes(listed: ChangesDocument, out: Console) -> None:
    """The changes of members, one to a line."""
    if not listed.changes:
        out.print("nobody changed members through the service")
    show_rows(
        ("change", "status", "at once", "rows", "proposed by", "at", "approved by", "reason"),
        [
            (
                *(one.id or "", one.status, one.at_once or "", str(one.added or 0)),
                *(who(one.proposed_by), whole(one.proposed_at or ""), who(one.approved_by), one.reason or ""),
            )
            for one in listed.changes
        ],
        where=out,
        spare=("rows", "at once", "at", "approved by"),
        right=("rows",),
    )


_STATUS: Final = {
    "preview": "nothing was recorded: this is what would come of it",
    "nothing_new": "nothing new: what is on file says so already",
    "waits": "waits for another person",
    "in_force": "on file",
    "stale": "can no longer be approved",
    "withdrawn": "withdrawn: nothing of it is on file",
}


def tell_change(change: ChangeFileDocument, out: Console) -> None:
    """A change for a person: where it stands, its rows, and who gains or loses what."""
    head = f"{change.id}  " if change.id is not None else ""
    out.print(Text(f"{head}{_STATUS.get(change.status, change.status)}", style="bold"))
    lines = [
        ("reason", change.reason or ""),
        ("proposed by", who(change.proposed_by)),
        ("approved by", who(change.approved_by)),
        ("withdrawn", told_withdrawal(change.withdrawn)),
    ]
    show_pairs([line for line in lines if line[1]], where=out)
    if change.stale:
        out.print(Text(change.stale, style="yellow"))
    if change.rows.rows:
        tell_rows("rows", change.rows, out)
    shown = {one.text for one in change.rows.rows}
    for line in change.state_after or ():
        # What is filed for the first time says itself what is so afterwards.
        if line not in shown:
            out.print(Text(f"afterwards: {line}"))
    for why, rows in _by(change.widens or (), lambda one: one.why):
        of = rows[0].row if len(rows) == 1 else f"{len(rows)} of the rows"
        out.print(Text(f"may widen, since {why}: {of}", style="yellow"))
    if change.effects:
        _tell_effects(change.effects, out)
    if change.status == "waits" and change.shown:
        out.print(
            f"another person has to approve it: policy-engine members approve {change.id} --shown {change.shown}",
            markup=False,
        )


def _tell_effects(effects: EffectsDocument, out: Console) -> None:
    for word, count, ones in (("gains", effects.gains, effects.gained), ("loses", effects.losses, effects.lost)):
        groups = _by(ones, lambda one: (one.subject, one.organisation, one.since, one.code, tuple(one.assumed)))
        told = 0
        for (subject, organisation, since, code, assumptions), alike in groups[:TOLD]:
            of = f" ({organisation})" if organisation is not None else ""
            assumed = f"; assumed: {', '.join(assumptions)}" if assumptions else ""
            models = ", ".join(one.model for one in alike)
            out.print(Text(f"  {word}: {subject}{of} {models} from {whole(since)}: {code}{assumed}"))
            told += len(alike)
        if count > told:
            out.print(Text(f"  {word}: and {count - told} more"))
    left = f"; {effects.left_out} more are touched and were not judged" if effects.left_out else ""
    out.print(
        Text(
            f"{effects.gains} allows gained and {effects.losses} lost, of {effects.judged} who were judged{left}",
            style="dim",
        )
    )


def _by(ones: Sequence[One], of: Callable[[One], Key]) -> list[tuple[Key, list[One]]]:
    """What is alike together, in the order in which it comes up first."""
    groups: dict[Key, list[One]] = {}
    for one in ones:
        groups.setdefault(of(one), []).append(one)
    return list(groups.items())
