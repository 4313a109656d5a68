"""What an approver approves, as one value: rows and values that differ, whose answer changes, who loses what, and which
worked examples went.

It is made of the archived files of both books and of the reports that were kept when the book was proposed, so that it
says the same to whoever looks, as often as it is looked at. Text, page and JSON are made of this value alone. Names of
people and organisations are in it only for keys that may read the members, and the look is on record before it is
given; for others the counts are rounded down (`disclosure`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import msgspec
from msgspec import convert

from policy_engine.analysis.difference_report import DiffReport, read_diff
from policy_engine.domain.changes import Actor
from policy_engine.domain.counted import many
from policy_engine.domain.desk import Desk, Proposal
from policy_engine.formats.faults import quoted
from policy_engine.policy.book_changes import BookChanges, book_changes
from policy_engine.policy.case_differences import case_differences
from policy_engine.policy.library import BookLost
from policy_engine.service.administration.desk_faults import DeskConflict, NothingThere
from policy_engine.service.administration.disclosure import IMPACT
from policy_engine.service.administration.impact import ImpactOutcome
from policy_engine.service.administration.publish import Publisher
from policy_engine.shapes.document import document_of
from policy_engine.shapes.reports import (
    CaseDifferenceDocument,
    DiffDocument,
    ImpactDocument,
    ProposalReportDocument,
    StandingDocument,
)

DIFF: Final = "diff"


_impact_decoder: Final = msgspec.json.Decoder(ImpactDocument)
_encoder: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalReport:
    """Everything that an approver is shown about a proposal.

    `status` is proposed, scheduled, put_in_force or withdrawn. `changes` and `cases` are `None` where there is no book
    before, or its files cannot be read any more; `difference` and `impact` where no such report was kept with it.
    `warnings` say what keeps it from being approved as it
    stands, and what is not told.
    """

    proposal: Proposal
    status: str
    changes: BookChanges | None
    cases: tuple[CaseDifferenceDocument, ...] | None
    difference: DiffReport | None
    impact: ImpactDocument | None
    warnings: tuple[str, ...]

    @property
    def in_short(self) -> tuple[str, ...]:
        """The headline, in short phrases: what is written otherwise, and who loses and gains."""
        return tuple(_headline(self))

    def of_cases(self, what: str) -> tuple[CaseDifferenceDocument, ...]:
        """The worked examples that were `removed`, `changed` or `added`."""
        return tuple(one for one in self.cases or () if one.what == what)

    def document(self) -> bytes:
        """As JSON, sorted by name."""
        return _encoder.encode(
            document_of(
                ProposalReportDocument,
                self,
                self.proposal.content,
                self.proposal,
                proposal=self.proposal.id,
                proposed_by=self.proposal.author,
                approved_by=self.proposal.approver,
                changes=None if self.changes is None else self.changes.document(),
                difference=None if self.difference is None else convert(self.difference.content(), DiffDocument),
            )
        )


def changes_in_short(changes: BookChanges) -> str:
    """How many rows and other files are written otherwise."""
    rows = [f"{changes.count(what)} {what}" for what in ("added", "changed", "removed") if changes.count(what)]
    told = f"{many(len(changes.rows), 'row differs', 'rows differ')} ({', '.join(rows)})" if rows else "no row changes"
    files = f"; other files: {', '.join(one.file for one in changes.files)}" if changes.files else ""
    return told + files


def _headline(report: ProposalReport) -> list[str]:
    lines = []
    if report.changes is not None:
        lines.append(changes_in_short(report.changes))
    if report.difference is not None:
        turns: dict[str, int] = {}
        for one in report.difference.answers:
            turns[f"{one.old} to {one.new}"] = turns.get(f"{one.old} to {one.new}", 0) + 1
        told = ", ".join(f"{count} {turn}" for turn, count in turns.items())
        lines.append(
            f"{many(len(report.difference.answers), 'class', 'classes')} of requesters with another answer ({told})"
            if turns
            else "no answer changes"
        )
    if report.impact is not None:
        lines.append(standing_in_short(report.impact))
        lines.append(decisions_in_short(report.impact))
    if report.cases is not None:
        counts = [f"{len(report.of_cases(what))} {what}" for what in ("removed", "changed", "added")]
        lines.append(f"worked examples: {', '.join(counts)}" if report.cases else "worked examples: as before")
    return lines


def standing_in_short(impact: ImpactDocument) -> str:
    """How many of those on file lose or gain a model."""
    outcomes = impact.standing_access.outcomes
    counts = [
        f"{_count(impact, outcomes.get(outcome, 0))} {told}"
        for outcome, told in (
            (ImpactOutcome.LOST, "lose"),
            (ImpactOutcome.GAINED, "gain"),
            (ImpactOutcome.UNDETERMINED, "undetermined"),
        )
    ]
    return f"access of those on file now: {', '.join(counts)}"


def decisions_in_short(impact: ImpactDocument) -> str:
    """What would have become of the recorded decisions."""
    counts = [
        f"{_count(impact, impact.outcomes.get(outcome, 0))} {told}"
        for outcome, told in (
            (ImpactOutcome.LOST, "allow to deny"),
            (ImpactOutcome.GAINED, "deny to allow"),
            (ImpactOutcome.UNDETERMINED, "undetermined"),
        )
    ]
    return f"of {_count(impact, impact.decisions)} recorded decisions: {', '.join(counts)}"


def _count(impact: ImpactDocument, number: int) -> str:
    """A count; one that was rounded down is told as that many or more."""
    step = impact.rounded_down_to
    if not step:
        return f"{number:,}"
    return f"{number:,} or more" if number else f"fewer than {step}"


def proposal_report(publisher: Publisher, actor: Actor, proposal: str, *, names: bool) -> ProposalReport:
    """The report of a proposal; with `names` the whole of its impact, and the look is on record before.

    Raises `NothingThere` for no proposal, `DeskConflict` where a report that was kept cannot be read by this release,
    and `LogUnavailable`.
    """
    desk = publisher.desk.view.refresh().desk
    held = desk.proposals.get(proposal)
    if held is None:
        raise NothingThere(f"there is no proposal {quoted(proposal)}")
    now = desk.moment(publisher.desk.clock())
    warnings: list[str] = []
    status = held.status(now)
    base, current = _base(desk, held, now)
    if status == "proposed" and current != held.content.base:
        warnings.append(
            f"it was compared with {held.content.base} and would follow {current} now, so that it cannot be approved:"
            " propose it again"
        )
    changes, cases = _written(publisher, held, base, warnings)
    removed = sum(one.what == "removed" for one in cases or ())
    if removed:
        warnings.append(f"{many(removed, 'worked example')} removed: what they checked is no longer checked")
    kept = {report.name for report in held.content.reports}
    try:
        content = publisher.report(actor, proposal, DIFF, names=names) if DIFF in kept else None
        difference = None if content is None else read_diff(content)
        document = publisher.report(actor, proposal, IMPACT, names=names) if IMPACT in kept else None
        impact = None if document is None else _impact_decoder.decode(document)
    except msgspec.MsgspecError as error:
        raise DeskConflict(f"this release cannot read a report of {quoted(proposal)}: {error}") from error
    if impact is not None and impact.rounded_down_to:
        warnings.append("names and exact counts need the right members:read")
    return ProposalReport(
        proposal=held,
        status=status,
        changes=changes,
        cases=cases,
        difference=difference,
        impact=impact,
        warnings=tuple(warnings),
    )


def _base(desk: Desk, proposal: Proposal, now: datetime) -> tuple[str | None, str]:
    """The archive of the book that the proposal was compared with, and which book it follows, or would follow now."""
    content = proposal.content
    start = proposal.in_force or max(now, content.effective or now)
    books = tuple(one for one in desk.books if one.proposal not in (proposal.id, *content.withdraws))
    follows = replace(desk, books=books).book_at(start)
    fingerprint = "none" if follows is None else follows.fingerprint
    if follows is not None and fingerprint == content.base:
        return follows.archive, fingerprint
    return desk.archive_of(content.base), fingerprint


def _written(
    publisher: Publisher, proposal: Proposal, base: str | None, warnings: list[str]
) -> tuple[BookChanges | None, tuple[CaseDifferenceDocument, ...] | None]:
    if base is None:
        if proposal.content.base != "none":
            warnings.append(f"the files of {proposal.content.base} are not archived, so rows are not compared")
        return None, None
    try:
        before, after = publisher.library.files(base), publisher.library.files(proposal.content.archive)
    except BookLost as error:
        warnings.append(f"rows are not compared: {error}")
        return None, None
    changes = book_changes(before, after)
    cases, unread = case_differences(before, after)
    warnings += [f"{name} cannot be read by this release, and is not compared" for name in (*changes.unread, *unread)]
    return changes, cases


def by_holder(ones: Sequence[StandingDocument]) -> Mapping[tuple[str, str | None], tuple[StandingDocument, ...]]:
    """Those whose access changes, with all the models of each, by subject and organisation."""
    found: dict[tuple[str, str | None], list[StandingDocument]] = {}
    for one in ones:
        found.setdefault((one.subject, one.organisation), []).append(one)
    return {holder: tuple(held) for holder, held in found.items()}


def decided_by(ones: Iterable[StandingDocument]) -> tuple[tuple[str, str], ...]:
    """The rules that decide now with their codes, each pair once."""
    return tuple(dict.fromkeys((one.rule, one.code) for one in ones))
