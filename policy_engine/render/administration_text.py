"""Rule books, proposals and freezes as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UnsetType
from rich.console import Console
from rich.text import Text

from policy_engine.domain.freezes import scope_text
from policy_engine.render.tables import show_pairs, show_rows
from policy_engine.render.words import who, whole
from policy_engine.shapes.administration import BookFilesDocument, FreezeDocument, PolicyDocument, ProposalDocument
from policy_engine.shapes.document import WithdrawalDocument


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
