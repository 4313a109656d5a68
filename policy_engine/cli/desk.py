"""`policy-engine policy propose|approve|withdraw|rollback|show`: books in the running service."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from msgspec import UnsetType
from rich.text import Text

from policy_engine.cli.output import JsonFlag, err, out, print_json, writing_to
from policy_engine.cli.progress import progress
from policy_engine.cli.remote import (
    ASSESSMENT_SECONDS,
    LostExamples,
    Misused,
    Refused,
    Service,
    ServiceAnswer,
    open_service,
)
from policy_engine.cli.tables import show_pairs, show_rows
from policy_engine.domain.freezes import scope_text
from policy_engine.formats.archive import encode_archive
from policy_engine.policy.cases import desk_folder
from policy_engine.shapes.administration import BookFilesDocument, FreezeDocument, PolicyDocument, ProposalDocument
from policy_engine.shapes.document import ActorDocument, WithdrawalDocument

NoteOption = Annotated[str, typer.Option(help="Why, for the record.")]
EffectiveOption = Annotated[
    str | None, typer.Option(help="From when on, such as 2026-12-01T00:00:00Z; as soon as it is approved when absent.")
]
SinceOption = Annotated[
    str | None, typer.Option(help="From when on recorded decisions are judged again; 30 days back when absent.")
]
WithdrawOption = Annotated[
    list[str] | None, typer.Option("--withdraw", help="An approved proposal not yet in force that this one ends.")
]


def propose(
    folder: Annotated[Path, typer.Argument(help="Folder of the book with its worked examples.")],
    *,
    note: NoteOption,
    effective: EffectiveOption = None,
    since: SinceOption = None,
    withdraw: WithdrawOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Propose the book in a folder: the service checks it, tries its worked examples and says what it would change.

    Another person approves it. Nothing is in force before that.

    Example: policy-engine policy propose policies --note "counsel's reading of 17 November"
    """
    files = desk_folder(folder)
    encode_archive(files)  # names every file that is not UTF-8
    texts = {name: data.decode("utf-8") for name, data in files.items()}
    _send({"files": texts}, note, effective, since, withdraw, as_json=as_json)


def rollback(
    fingerprint: Annotated[str, typer.Argument(help="The book, as `policy show` names it.")],
    *,
    note: NoteOption,
    effective: EffectiveOption = None,
    since: SinceOption = None,
    withdraw: WithdrawOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Propose an archived book again. It needs another person's approval like any other.

    Example: policy-engine policy rollback sha256:5d14... --note "the book of yesterday denies too much"
    """
    _send({"rollback_to": fingerprint}, note, effective, since, withdraw, as_json=as_json)


def _send(
    book: dict[str, object],
    note: str,
    effective: str | None,
    since: str | None,
    withdraw: list[str] | None,
    *,
    as_json: bool,
) -> None:
    body = {**book, "note": note, "effective": effective, "since": since, "withdraws": withdraw or []}
    with progress("the service tries the book"):
        answer = open_service().post("policy", "proposals", body=body, seconds=ASSESSMENT_SECONDS)
    answer.tell(ProposalDocument, _tell_proposed, as_json=as_json)


def _tell_proposed(proposal: ProposalDocument) -> None:
    _tell_proposal(proposal)
    out.print(f"another person approves it: policy-engine policy approve {proposal.id}", markup=False)


def approve(
    proposal: Annotated[str, typer.Argument(help="The id of the proposal.")],
    *,
    note: Annotated[str, typer.Option(help="What to say about it, for the record.")] = "",
    cases: Annotated[
        str | None,
        typer.Option(help="The digest of the report `cases`, where the book drops or changes worked examples."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Approve another person's proposal: its book is in force from its instant on, or at once.

    Where it drops or changes worked examples these are named, and asked for on a terminal; elsewhere --cases says that
    they were looked at.

    Example: policy-engine policy approve PROP-01K9... --note "read with counsel"
    """
    service = open_service()

    def approved(acknowledged: str | None) -> ServiceAnswer:
        body = {"note": note, "cases": acknowledged}
        with progress("the service reads the book"):
            return service.post("policy", "proposals", proposal, "approve", body=body, seconds=ASSESSMENT_SECONDS)

    try:
        answer = approved(cases)
    except Refused as refused:
        lost = refused.lost
        if lost is None or cases is not None:
            raise
        _tell_lost(lost)
        if not (sys.stdin.isatty() and err.is_terminal):
            command = f"policy-engine policy approve {proposal} --cases {lost.digest}"
            noted = f" --note {shlex.quote(note)}" if note else ""
            raise Refused(f"nothing was approved; when that is meant: {command}{noted}") from refused
        typer.confirm(f"approve {proposal} without what these held?", abort=True, err=True)
        answer = approved(lost.digest)
    answer.tell(ProposalDocument, _tell_proposal, as_json=as_json)


def withdraw(
    proposal: Annotated[str, typer.Argument(help="The id of the proposal.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    as_json: JsonFlag = False,
) -> None:
    """Take back a proposal that waits for its approval: nobody approves it any more.

    One that is approved and not yet in force is ended by another proposal, with --withdraw.

    Example: policy-engine policy withdraw PROP-01K9... --reason "counsel wants another wording"
    """
    answer = open_service().post("policy", "proposals", proposal, "withdraw", body={"reason": reason})
    answer.tell(ProposalDocument, _tell_proposal, as_json=as_json)


def show(
    name: Annotated[str | None, typer.Argument(help="A proposal, or the fingerprint of a book.")] = None,
    *,
    report: Annotated[
        str | None,
        typer.Option(help="A report of the proposal: print it as it is kept; `whole` is what an approver reads."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="File to write what an approver reads to, as one page.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show which book is in force, which are to come, what is proposed and what is frozen; or one of them.

    Of a proposal it shows what an approver has to know: the rows that differ, cell by cell; whose answer changes, in
    words; who on file loses or gains a model; and which worked examples went or say something else. Names are shown to
    keys that may read the members, and each look at them is on record.

    Example: policy-engine policy show PROP-01K9... --html proposal.html
    """
    service = open_service()
    if name is None and (report is not None or html is not None):
        raise Misused(f"{'--report' if report is not None else '--html'} needs the proposal that it is about")
    if name is not None and report is not None:
        whole = ("report.json",) if report == "whole" else ("reports", report)
        print_json(service.get("policy", "proposals", name, *whole).plain())
        return
    if name is not None and html is not None:
        if name.startswith("sha256:"):
            raise Misused("--html needs a proposal: a book alone changes nothing")
        page = service.get("policy", "proposals", name, "report.html").body
        with writing_to(html, "--html") as file:
            file.write(page)
        err.print(f"{html}: {len(page):,} bytes", markup=False)
        return
    if name is None:
        service.get("policy").tell(PolicyDocument, _tell_desk, as_json=as_json)
    elif name.startswith("sha256:"):
        service.get("policy", "books", name).tell(BookFilesDocument, _tell_files, as_json=as_json)
    else:
        answer = service.get("policy", "proposals", name)
        answer.tell(ProposalDocument, partial(_tell_whole, service), as_json=as_json)


def _tell_desk(desk: PolicyDocument) -> None:
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
            books.append((name, book.fingerprint, when(book.since), way, *actors))
            styles.append(style)
    if not held:
        out.print("no book is in force: everything is denied", style="bold red")
    columns = ("stands", "book", "from", "by way of", "proposed by", "approved by")
    show_rows(columns, books, styles=styles)
    if desk.proposals:
        out.print()
        show_rows(
            ("proposal", "status", "from", "by", "note"),
            [
                (one.id, one.status, when(one.in_force or one.effective or "approval"), who(one.proposed_by), one.note)
                for one in desk.proposals
            ],
            spare=("by",),
        )
    if desk.freezes:
        out.print()
        show_rows(
            ("freeze", "status", "scope", "until", "authority", "reason"),
            [
                (one.id, one.status, frozen_by(one), when(one.until or "lifted"), one.authority, one.reason)
                for one in desk.freezes
            ],
            spare=("authority",),
            styles=["bold red" if one.status in ("frozen", "lift_asked") else "dim" for one in desk.freezes],
        )


def _tell_proposal(proposal: ProposalDocument) -> None:
    out.print(Text(f"{proposal.id}  {proposal.status}", style="bold"))
    lines = [
        ("book", proposal.fingerprint),
        ("follows", proposal.base),
        ("note", proposal.note),
        ("proposed", f"by {who(proposal.proposed_by)} at {when(proposal.proposed_at)}"),
    ]
    if proposal.approved_at is not None:
        lines.append(("approved", f"by {who(proposal.approved_by)} at {when(proposal.approved_at)}"))
    lines.append(("in force", when(proposal.in_force or proposal.effective or "from its approval on")))
    if proposal.withdraws:
        lines.append(("withdraws", ", ".join(proposal.withdraws)))
    if proposal.withdrawn_by is not None:
        lines.append(("withdrawn", f"by {proposal.withdrawn_by}"))
    if proposal.withdrawn is not None:
        lines.append(("withdrawn", told_withdrawal(proposal.withdrawn)))
    if proposal.cases is not None:
        lines.append(("acknowledged", "what becomes of the worked examples"))
    lines += [(f"report {report.name}", report.summary) for report in proposal.reports]
    show_pairs(lines)


def _tell_lost(lost: LostExamples) -> None:
    """Every example by name: on the error output, so that `--json` stays a document or nothing."""
    err.print("worked examples that the book drops or changes no longer hold what they held", style="bold yellow")
    for word, names in (("removed", lost.removed), ("changed", lost.changed)):
        if names:
            err.print(f"{len(names):,} {word}: {', '.join(names)}", markup=False, highlight=False)
    if not lost.removed and not lost.changed:
        err.print("those of the book before cannot be read any more, so that none could be compared", markup=False)


def _tell_whole(service: Service, proposal: ProposalDocument) -> None:
    _tell_proposal(proposal)
    out.print()
    text = service.get("policy", "proposals", proposal.id, "report.txt").body.decode("utf-8")
    out.print(text, markup=False, end="")


def _tell_files(book: BookFilesDocument) -> None:
    out.print(Text(book.fingerprint, style="bold"))
    sizes = [(name, f"{len(text.encode()):,}") for name, text in sorted(book.files.items())]
    show_rows(("file", "bytes"), sizes, right=("bytes",))


def frozen_by(freeze: FreezeDocument) -> str:
    """What a freeze stops, in words."""
    return scope_text(
        model=freeze.models, country=freeze.countries, organisation=freeze.organisations, gateway=freeze.gateways
    )


def who(actor: ActorDocument | UnsetType | None) -> str:
    """The person, or the key where there is no person."""
    return actor.person or actor.key if actor else ""


def told_withdrawal(withdrawal: WithdrawalDocument | UnsetType | None) -> str:
    """Who withdrew something, when and why; empty where nobody did."""
    return f"by {who(withdrawal.by)} at {when(withdrawal.at)}: {withdrawal.reason}" if withdrawal else ""


def when(instant: str) -> str:
    """An instant without the fraction of a second that it does not have."""
    return instant.replace(".000000Z", "Z")
