"""`policy-engine policy propose|approve|withdraw|rollback|show`: books in the running service."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from policy_engine.cli.output import JsonFlag, err, out, print_json, writing_to
from policy_engine.cli.progress import progress
from policy_engine.cli.remote import (
    ASSESSMENT_SECONDS,
    Misused,
    Service,
    ServiceAnswer,
    ServiceRefused,
    open_service,
)
from policy_engine.formats.archive import encode_archive
from policy_engine.policy.cases import desk_folder
from policy_engine.render.administration_text import tell_administration, tell_files, tell_lost, tell_proposal
from policy_engine.shapes.administration import BookFilesDocument, PolicyDocument, ProposalDocument

NoteOption = Annotated[str, typer.Option(help="Why, for the record.")]
EffectiveOption = Annotated[
    str | None,
    typer.Option(help="When it comes into force, such as 2026-12-01T00:00:00Z; by default as soon as it is approved."),
]
SinceOption = Annotated[
    str | None,
    typer.Option(help="Decisions recorded since this instant are judged again; by default the last 30 days."),
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
    with progress("the service checks the book"):
        answer = open_service().post("policy", "proposals", body=body, seconds=ASSESSMENT_SECONDS)
    answer.tell(ProposalDocument, _tell_proposed, as_json=as_json)


def _tell_proposed(proposal: ProposalDocument) -> None:
    tell_proposal(proposal, out)
    out.print(f"another person has to approve it: policy-engine policy approve {proposal.id}", markup=False)


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

    If it drops or changes worked examples, they are listed and you are asked to confirm; without a terminal, --cases
    says that you have looked at them.

    Example: policy-engine policy approve PROP-01K9... --note "read with counsel"
    """
    service = open_service()

    def approved(acknowledged: str | None) -> ServiceAnswer:
        body = {"note": note, "cases": acknowledged}
        with progress("the service reads the book"):
            return service.post("policy", "proposals", proposal, "approve", body=body, seconds=ASSESSMENT_SECONDS)

    try:
        answer = approved(cases)
    except ServiceRefused as refused:
        lost = refused.lost
        if lost is None or cases is not None:
            raise
        tell_lost(lost.removed, lost.changed, err)
        if not (sys.stdin.isatty() and err.is_terminal):
            command = f"policy-engine policy approve {proposal} --cases {lost.digest}"
            noted = f" --note {shlex.quote(note)}" if note else ""
            raise ServiceRefused(
                f"nothing was approved; to approve it all the same, run: {command}{noted}"
            ) from refused
        typer.confirm(f"approve {proposal} without these worked examples?", abort=True, err=True)
        answer = approved(lost.digest)
    answer.tell(ProposalDocument, partial(tell_proposal, out=out), as_json=as_json)


def withdraw(
    proposal: Annotated[str, typer.Argument(help="The id of the proposal.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    as_json: JsonFlag = False,
) -> None:
    """Take back a proposal that waits for its approval: it can no longer be approved.

    One that is approved and not yet in force can only be withdrawn by another proposal, with --withdraw.

    Example: policy-engine policy withdraw PROP-01K9... --reason "counsel wants another wording"
    """
    answer = open_service().post("policy", "proposals", proposal, "withdraw", body={"reason": reason})
    answer.tell(ProposalDocument, partial(tell_proposal, out=out), as_json=as_json)


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
    words; who on file loses or gains a model; and which worked examples are removed or changed. Names are shown to
    keys that may read the members, and each look at them is on record.

    Example: policy-engine policy show PROP-01K9... --html proposal.html
    """
    service = open_service()
    if name is None and (report is not None or html is not None):
        raise Misused(f"{'--report' if report is not None else '--html'} needs the id of a proposal")
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
        service.get("policy").tell(PolicyDocument, partial(tell_administration, out=out), as_json=as_json)
    elif name.startswith("sha256:"):
        service.get("policy", "books", name).tell(BookFilesDocument, partial(tell_files, out=out), as_json=as_json)
    else:
        answer = service.get("policy", "proposals", name)
        answer.tell(ProposalDocument, partial(_tell_whole, service), as_json=as_json)


def _tell_whole(service: Service, proposal: ProposalDocument) -> None:
    tell_proposal(proposal, out)
    out.print()
    text = service.get("policy", "proposals", proposal.id, "report.txt").body.decode("utf-8")
    out.print(text, markup=False, end="")
