"""Publishing a book: proposed by one person, approved by another, in force at an instant; every book archived.

What is in force is decided by the database: by the approvals in it and the clock. A proposal is kept only with a green
check, green worked examples, and the reports of what it changes against the book that it would follow. An approval
holds for exactly that: when another book would be followed by now, or another one is to come into force later, the
proposal has to be made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from policy_engine.domain.changes import (
    Actor,
    BookApproved,
    BookFounded,
    BookProposed,
    BookWatched,
    ProposalWithdrawn,
    Report,
    ReportRead,
)
from policy_engine.domain.desk import Desk, InForce, Proposal
from policy_engine.domain.ports import DeskLog, LogUnavailable, NewEvent
from policy_engine.formats.archive import encode_archive
from policy_engine.formats.change import digest_of
from policy_engine.formats.faults import Fault, quoted
from policy_engine.policy.case_changes import CASES_REPORT, kept_changes
from policy_engine.policy.library import Library
from policy_engine.policy.reader import book_files, read_book
from policy_engine.service.administration.desk import (
    MAX_ATTEMPTS,
    Administration,
    Proposed,
    person_of,
    require_words,
    withdrawn,
)
from policy_engine.service.administration.desk_faults import (
    CasesNotAcknowledged,
    DeskConflict,
    NotAccepted,
    NothingThere,
    SecondPersonNeeded,
)
from policy_engine.service.administration.disclosure import IMPACT, counts_alone
from policy_engine.service.gate.snapshot import Ground

PROPOSAL_PREFIX: Final = "PROP-"
NO_BASE: Final = "none"
"""The base of a book that follows none."""
FOUNDER: Final = Actor(key="founding")
WATCHER: Final = Actor(key="watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A book to be assessed against the one that it would follow."""

    files: Mapping[str, bytes]
    base: InForce | None
    effective: datetime
    since: datetime
    rollback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """A report: its name, its bytes (JSON), and its outcome in a sentence."""

    name: str
    content: bytes
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What was found about a candidate. With faults or failed cases it is not taken."""

    fingerprint: str
    faults: tuple[Fault, ...] = ()
    failed_cases: tuple[str, ...] = ()
    reports: tuple[ReportContent, ...] = ()


class Publisher:
    """The use cases of publishing."""

    def __init__(self, *, desk: Administration, library: Library, assess: Callable[[Candidate], Assessment]) -> None:
        self.desk = desk
        self.library = library
        self._assess = assess

    def propose(
        self,
        actor: Actor,
        files: Mapping[str, bytes],
        *,
        note: str,
        since: datetime,
        effective: datetime | None = None,
        withdraws: Sequence[str] = (),
        rollback: bool = False,
    ) -> Proposal:
        """Keep a book as a proposal with its reports; `files` are those of its folder, worked examples included.

        `effective` is when it is to be in force, `None` for as soon as it is approved; `since` is from when on recorded
        decisions are judged again. Raises `NotAccepted` with every fault, `PersonNeeded`, `DeskConflict`.
        """
        person_of(actor)
        require_words(note, "a proposal needs a note that says why")
        archive = encode_archive(files)
        withdrawn = tuple(sorted(set(withdraws)))
        ground = self.desk.view.refresh()
        now = ground.desk.moment(self.desk.clock())
        start = now if effective is None else max(now, effective)
        base = followed(ground.desk, start, withdrawn)
        assessment = self._assess(Candidate(files=files, base=base, effective=start, since=since, rollback=rollback))
        if assessment.faults:
            raise NotAccepted("the book has faults", assessment.faults)
        if assessment.failed_cases:
            raise NotAccepted(f"worked examples fail: {', '.join(assessment.failed_cases)}")
        name = PROPOSAL_PREFIX + self.desk.new_id(now)
        event = BookProposed(
            proposal=name,
            fingerprint=assessment.fingerprint,
            archive=digest_of(archive),
            base=NO_BASE if base is None else base.fingerprint,
            effective=effective,
            note=note,
            rollback=rollback,
            withdraws=withdrawn,
            reports=tuple(
                Report(name=report.name, digest=digest_of(report.content), summary=report.summary)
                for report in assessment.reports
            ),
        )

        def make(ground: Ground, at: datetime) -> Proposed:
            _refuse_other_base(event, followed(ground.desk, max(ground.desk.moment(at), start), withdrawn))
            contents = (archive, *(report.content for report in assessment.reports))
            return Proposed(event=event, contents=contents)

        self.desk.act(actor, make)
        return self.desk.view.current().desk.proposals[name]

    def approve(self, actor: Actor, proposal: str, *, note: str = "", cases: str | None = None) -> Proposal:
        """Put a proposed book in force at its instant, or at once when that has passed.

        `cases` is the digest of the report `cases`, by which the person acknowledges the worked examples that the book
        drops or changes. Raises `NothingThere`, `PersonNeeded`, `SecondPersonNeeded` for its author, `DeskConflict`
        when it is approved already or does not fit any more, and `CasesNotAcknowledged`.
        """
        person = person_of(actor)

        def make(ground: Ground, at: datetime) -> Proposed:
            held = _waiting(ground.desk, proposal)
            if person_of(held.author) == person:
                raise SecondPersonNeeded(
                    f"{quoted(person)} proposed {quoted(proposal)}: another person has to approve it"
                )
            content = held.content
            now = ground.desk.moment(at)
            in_force = now if content.effective is None else max(now, content.effective)
            _refuse_other_base(content, followed(ground.desk, in_force, content.withdraws))
            acknowledged = self._acknowledged(content, cases)
            # Read back from the archive: what cannot be read is not put in force.
            self.library.book(content.fingerprint, content.archive)
            event = BookApproved(
                proposal=proposal,
                fingerprint=content.fingerprint,
                archive=content.archive,
                in_force=in_force,
                note=note,
                withdraws=content.withdraws,
                cases=acknowledged,
            )
            return Proposed(event=event)

        self.desk.act(actor, make)
        return self.desk.view.current().desk.proposals[proposal]

    def withdraw(self, actor: Actor, proposal: str, *, reason: str) -> Proposal:
        """Take back a proposal that waits for its approval, so that nobody approves it any more: by its author, or by
        anybody else.

        Raises `NothingThere`, `PersonNeeded`, `NotAccepted` without a reason, and `DeskConflict` for one that is
        approved, which another proposal ends (`withdraws`), or was withdrawn before.
        """
        person_of(actor)
        require_words(reason, "a proposal that is withdrawn needs a reason")

        def make(ground: Ground, _: datetime) -> Proposed:
            _waiting(ground.desk, proposal)
            return Proposed(event=ProposalWithdrawn(proposal=proposal, reason=reason))

        self.desk.act(actor, make)
        return self.desk.view.current().desk.proposals[proposal]

    def rollback(
        self,
        actor: Actor,
        fingerprint: str,
        *,
        note: str,
        since: datetime,
        effective: datetime | None = None,
        withdraws: Sequence[str] = (),
    ) -> Proposal:
        """Propose a book of the archive, or that of a proposal, again.

        Raises `NothingThere` and whatever `propose` does.
        """
        desk = self.desk.view.refresh().desk
        named = desk.proposals.get(fingerprint)
        archive = desk.archive_of(fingerprint) if named is None else named.content.archive
        if archive is None:
            raise NothingThere(f"no book {quoted(fingerprint)} was ever archived")
        files = self.library.files(archive)
        return self.propose(
            actor, files, note=note, since=since, effective=effective, withdraws=withdraws, rollback=True
        )

    def report(self, actor: Actor, proposal: str, name: str, *, names: bool) -> bytes:
        """A report that is kept with a proposal; with `names` the whole of one about people, which is on record before
        it is given, and else its rounded counts. Raises `NothingThere` and `LogUnavailable`."""
        held = self.desk.view.refresh().desk.proposals.get(proposal)
        report = None if held is None else next((one for one in held.content.reports if one.name == name), None)
        content = None if report is None else self.desk.log.content(report.digest)
        if content is None:
            raise NothingThere(f"proposal {quoted(proposal)} has no report {quoted(name)}")
        if name != IMPACT:
            return content
        if not names:
            return counts_alone(content)
        at = self.desk.clock()
        read = ReportRead(proposal=proposal, report=name, digest=digest_of(content))
        self.desk.log.note(NewEvent(id=self.desk.new_id(at), at=at, actor=actor, event=read))
        return content

    def _acknowledged(self, content: BookProposed, cases: str | None) -> str | None:
        """The digest that acknowledges what becomes of the worked examples; `None` where nothing was given and none
        is needed. Raises `CasesNotAcknowledged`, and `NothingThere` where nobody can say what becomes of them."""
        kept = next((report for report in content.reports if report.name == CASES_REPORT), None)
        data = None if kept is None else self.desk.log.content(kept.digest)
        if kept is None or data is None:
            raise NothingThere(
                f"proposal {quoted(content.proposal)} has no report of what becomes of the worked examples; propose"
                " it again"
            )
        changes = kept_changes(data, follows=content.base != NO_BASE)
        if cases == kept.digest or (cases is None and not changes.lost):
            return cases
        given = "" if cases is None else f"{quoted(cases)} is not the report of this proposal; "
        raise CasesNotAcknowledged(
            f"{given}{changes.lost}; whoever approves the book acknowledges that with `cases`: {quoted(kept.digest)}",
            report=kept.digest,
            removed=changes.removed,
            changed=changes.changed,
        )


def _waiting(desk: Desk, proposal: str) -> Proposal:
    """A proposal that waits for its approval. Raises `NothingThere` and `DeskConflict`."""
    held = desk.proposals.get(proposal)
    if held is None:
        raise NothingThere(f"there is no proposal {quoted(proposal)}")
    if held.approver is not None:
        end = "; until it is in force, another proposal can withdraw it" if held.withdrawn_by is None else ""
        raise DeskConflict(f"proposal {quoted(proposal)} is approved already{end}")
    if held.withdrawal is not None:
        raise DeskConflict(f"proposal {quoted(proposal)} {withdrawn(held.withdrawal)}")
    return held


def followed(desk: Desk, at: datetime, withdraws: Sequence[str]) -> InForce | None:
    """The book that one in force from an instant on would follow, once some approved proposals are withdrawn.

    Raises `NothingThere` for a proposal to withdraw that is none, and `DeskConflict` for one that is in force or not
    approved, and when another book is to come into force later: it would end this one without anybody having looked.
    """
    for name in withdraws:
        held = desk.proposals.get(name)
        if held is None:
            raise NothingThere(f"there is no proposal {quoted(name)} to withdraw")
        if held.in_force is None or held.in_force <= at or held.withdrawn_by is not None:
            raise DeskConflict(f"proposal {quoted(name)} is not waiting to come into force")
    left = replace(desk, books=tuple(book for book in desk.books if book.proposal not in withdraws))
    later = left.next_book(at)
    if later is not None:
        raise DeskConflict(
            f"proposal {quoted(later.proposal or later.fingerprint)} comes into force after that; withdraw it with this"
            " proposal, or choose a later instant"
        )
    return left.book_at(at)


def _refuse_other_base(content: BookProposed, base: InForce | None) -> None:
    fingerprint = NO_BASE if base is None else base.fingerprint
    if fingerprint != content.base:
        raise DeskConflict(
            f"the book was compared with `{content.base}` and would follow `{fingerprint}` now; propose it again"
        )


def found_book(log: DeskLog, files: Mapping[str, bytes], *, at: datetime, entry_id: str) -> None:
    """Take the first book of an empty database from a folder; where there is one already nothing is done.

    Raises `FaultsError` for a book with faults, `LogUnavailable`, `MembersUnavailable`.
    """
    for _ in range(MAX_ATTEMPTS):
        standing = log.standing(held_revision=None, after_index=-1)
        if any(isinstance(change.event, BookFounded | BookWatched | BookApproved) for change in standing.changes):
            return
        archive = encode_archive(files)
        event = BookFounded(fingerprint=read_book(book_files(files)).fingerprint, archive=digest_of(archive))
        entry = NewEvent(id=entry_id, at=at, actor=FOUNDER, event=event)
        if log.record([entry], under=standing.epoch, contents=[archive]) is not None:
            return
    raise LogUnavailable("the control epoch keeps moving")


def put_watched(
    desk: Administration, files: Mapping[str, bytes], fingerprint: str, *, cases: bytes | None = None
) -> None:
    """Put a book that was read and tried in force now, because its folder is watched.

    `cases` is the report about its worked examples, where some went or changed.
    """
    archive = encode_archive(files)
    event = BookWatched(
        fingerprint=fingerprint, archive=digest_of(archive), cases=None if cases is None else digest_of(cases)
    )
    contents = (archive,) if cases is None else (archive, cases)
    desk.act(WATCHER, lambda _ground, _at: Proposed(event=event, contents=contents))
