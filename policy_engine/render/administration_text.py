"""Rule books, freezes, reviews and changes of members as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Final, TypeVar

from msgspec import UnsetType
from rich.console import Console
from rich.text import Text

from policy_engine.domain.freezes import scope_text
from policy_engine.formats.record import answer_in
from policy_engine.render.tables import show_pairs, show_rows
from policy_engine.render.words import who, whole
from policy_engine.shapes.administration import (
    BookFilesDocument,
    FreezeDocument,
    PolicyDocument,
    ProposalDocument,
    ReviewDocument,
    ReviewFileDocument,
)
from policy_engine.shapes.document import RowsDocument, WithdrawalDocument
from policy_engine.shapes.members import ChangeFileDocument, ChangesDocument, EffectsDocument

One = TypeVar("One")
Key = TypeVar("Key", bound=Hashable)

TOLD: Final = 20
"""So many who gain, and so many who lose, are told one by one; --json has more."""


def tell_administration(desk: PolicyDocument, out: Console) -> None:
    """Which books stand, are to come and were, what is proposed, and what is frozen."""
    books, styles = [], []
    held = [] if desk.in_force is None else [desk.in_force]
    for name, style, rows in (
        ("scheduled", "yellow", desk.scheduled[::-1]),
        ("in force", "bold green", held),
        ("before", "dim", desk.history),
    ):
        for book in rows:
            way = book.proposal or book.via
            actors = (who(book.proposed_by), who(book.approved_by))
            books.append((name, book.fingerprint, whole(book.since), way, *actors))
            styles.append(style)
    if not held:
        out.print("no book is in force: everything is denied", style="bold red")
    columns = ("stands", "book", "from", "by way of", "proposed by", "approved by")
    show_rows(columns, books, where=out, styles=styles)
    if desk.proposals:
        out.print()
        show_rows(
            ("proposal", "status", "from", "by", "note"),
            [
                (one.id, one.status, whole(one.in_force or one.effective or "approval"), who(one.proposed_by), one.note)
                for one in desk.proposals
            ],
            where=out,
            spare=("by",),
        )
    if desk.freezes:
        out.print()
        show_rows(
            ("freeze", "status", "scope", "until", "authority", "reason"),
            [
                (one.id, one.status, frozen_by(one), whole(one.until or "lifted"), one.authority, one.reason)
                for one in desk.freezes
            ],
            where=out,
            spare=("authority",),
            styles=["bold red" if one.status in ("frozen", "lift_asked") else "dim" for one in desk.freezes],
        )


def tell_proposal(proposal: ProposalDocument, out: Console) -> None:
    """A proposal: where it stands, its book, and who acted on it."""
    out.print(Text(f"{proposal.id}  {proposal.status}", style="bold"))
    lines = [
        ("book", proposal.fingerprint),
        ("follows", proposal.base),
        ("note", proposal.note),
        ("proposed", f"by {who(proposal.proposed_by)} at {whole(proposal.proposed_at)}"),
    ]
    if proposal.approved_at is not None:
        lines.append(("approved", f"by {who(proposal.approved_by)} at {whole(proposal.approved_at)}"))
    lines.append(("in force", whole(proposal.in_force or proposal.effective or "from its approval on")))
    if proposal.withdraws:
        lines.append(("withdraws", ", ".join(proposal.withdraws)))
    if proposal.withdrawn_by is not None:
        lines.append(("withdrawn", f"by {proposal.withdrawn_by}"))
    if proposal.withdrawn is not None:
        lines.append(("withdrawn", told_withdrawal(proposal.withdrawn)))
    if proposal.cases is not None:
        lines.append(("acknowledged", "what becomes of the worked examples"))
    lines += [(f"report {report.name}", report.summary) for report in proposal.reports]
    show_pairs(lines, where=out)


def tell_lost(removed: Sequence[str], changed: Sequence[str], err: Console) -> None:
    """Every example by name: on the error output, so that `--json` stays a document or nothing."""
    err.print(
        "the book drops or changes these worked examples, and what they checked is no longer checked",
        style="bold yellow",
    )
    for word, names in (("removed", removed), ("changed", changed)):
        if names:
            err.print(f"{len(names):,} {word}: {', '.join(names)}", markup=False, highlight=False)
    if not removed and not changed:
        err.print("those of the previous book can no longer be read, so none could be compared", markup=False)


def tell_files(book: BookFilesDocument, out: Console) -> None:
    """The files of a book."""
    out.print(Text(book.fingerprint, style="bold"))
    sizes = [(name, f"{len(text.encode()):,}") for name, text in sorted(book.files.items())]
    show_rows(("file", "bytes"), sizes, where=out, right=("bytes",))


def frozen_by(freeze: FreezeDocument) -> str:
    """What a freeze stops, in words."""
    return scope_text(
        model=freeze.models, country=freeze.countries, organisation=freeze.organisations, gateway=freeze.gateways
    )


def told_withdrawal(withdrawal: WithdrawalDocument | UnsetType | None) -> str:
    """Who withdrew something, when and why; empty where nobody did."""
    return f"by {who(withdrawal.by)} at {whole(withdrawal.at)}: {withdrawal.reason}" if withdrawal else ""


def tell_freeze(held: FreezeDocument, out: Console) -> None:
    """What a freeze stops now, and what is left to be done about it."""
    frozen = frozen_by(held)
    until = f" until {whole(held.until)}" if held.until is not None else ""
    told = {
        "frozen": f"{frozen} is frozen{until}, on the authority of {held.authority} ({who(held.declared_by)})",
        "lift_asked": f"{frozen} stays frozen until another person too runs: policy-engine unfreeze {held.id}",
        "lifted": f"{frozen} is no longer frozen",
        "expired": f"the freeze of {frozen} has run out",
    }
    out.print(Text(f"{held.id}: {told.get(held.status, held.status)}"))


def tell_cases(cases: Sequence[ReviewDocument], none: str, out: Console) -> None:
    """The cases, one to a line; `none` is said where there are none."""
    if not cases:
        out.print(none)
    show_rows(
        ("case", "status", "subject", "model", "action", "purpose", "rule", "due"),
        [
            (one.id, one.status, one.subject, one.model, one.action, one.purpose or "", one.rule, whole(one.due_at))
            for one in cases
        ],
        where=out,
        spare=("status", "action", "purpose", "rule"),
    )


def tell_case(file: ReviewFileDocument, out: Console) -> None:
    """A case with what was held, why, and what would let it go."""
    _tell_review(file, out)
    held = answer_in(bytes(file.decision))
    lines = [("held for", f"{held.reason.code}: {held.reason.message}")]
    lines += [
        (f"rule {finding.rule}", " ".join(finding.codes)) for finding in held.findings if finding.state == "deciding"
    ]
    if held.missing:
        lines.append(("missing facts", ", ".join(held.missing)))
    lines.append(("what lifts it", file.lifts or "nothing but facts under which the rule does not match"))
    show_pairs(lines, where=out)
    if file.clearance:
        out.print("\nrows that would clear the listings, for `reviews close --outcome release --members FILE`:")
        out.print(Text(file.clearance), end="")


def tell_closed(review: ReviewDocument, out: Console) -> None:
    """A case after somebody acted on it, and what another person has to do."""
    _tell_review(review, out)
    if review.status == "release_asked" and review.rows is not None:
        out.print(
            "another person has to confirm it: policy-engine reviews close"
            f" {review.id} --outcome release --rows {review.rows.digest}",
            markup=False,
        )


def tell_rows(title: str, rows: RowsDocument, out: Console) -> None:
    """Rows of the members, one to a line, and their digest."""
    out.print(Text(f"{title}:", style="bold"))
    for row in rows.rows:
        out.print(Text(f"  {row.text}"))
    out.print(Text(f"  rows {rows.digest}", style="dim"))


def _tell_review(review: ReviewDocument, out: Console) -> None:
    out.print(Text(f"{review.id}  {review.status}", style="bold"))
    lines = [
        ("request", f"{review.subject}: {review.action} {review.model}"),
        ("purpose", review.purpose or "none stated"),
        ("rule", review.rule),
        ("decision", review.decision_id),
        ("opened", whole(review.opened_at)),
        ("due", whole(review.due_at)),
    ]
    if review.asked_by is not None:
        lines.append(("release asked by", who(review.asked_by)))
    if review.closed_by is not None:
        lines.append(("closed by", who(review.closed_by)))
    if review.rationale:
        lines.append(("rationale", review.rationale))
    show_pairs(lines, where=out)
    if review.rows is not None:
        released = review.status == "released"
        tell_rows("these rows went on file" if released else "these rows go on file with the release", review.rows, out)


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
