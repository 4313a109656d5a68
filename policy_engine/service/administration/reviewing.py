"""Held decisions, looked at by people: what was asked, what is missing, and how the case ends.

One person refuses, with a rationale; what was held stays denied. A release is asked for by one person, with the rows
that go on file for it (an authorisation, a cleared listing), and confirmed by another: the rows are recorded in the
transaction that closes the case, so the next decision stands on them.

- Rows that would not let the held request go past the rule of the case are not taken, nor rows about anybody who was no
  party of the held decision.
- Everybody who looks at the case is shown the rows as they will be recorded. The second person confirms the digest of
  what was shown; other rows, or what is on file now making other rows of the same document, need another look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from policy_engine.decision.conclude import Basis, conclude
from policy_engine.domain.changes import Actor, ReviewClosed, ReviewOutcome, ReviewReleaseAsked
from policy_engine.domain.counted import many
from policy_engine.domain.desk import AskedRelease, ClosedReview
from policy_engine.domain.ports import DecisionLog, OpenedReview
from policy_engine.domain.reviews import FULL_RULE
from policy_engine.domain.roster import PERSON_PREFIX, Listing, ListingStatus, Roster, RosterRows, with_rows
from policy_engine.domain.rules import FAULT_RULE, NO_BOOK_RULE, ROW_WORD, Book
from policy_engine.domain.verdict import Finding
from policy_engine.formats.change import digest_of
from policy_engine.formats.faults import Fault, FaultsError, quoted
from policy_engine.formats.membership_file import read_members, write_members
from policy_engine.formats.membership_writer import row_text
from policy_engine.formats.record_reader import RecordedDecision, read_record
from policy_engine.formats.roster_rows import decode_rows, each_row, encode_rows
from policy_engine.policy.names import names_read
from policy_engine.service.administration.case_parties import STRANGER, CaseParties, parties_of
from policy_engine.service.administration.desk import Administration, Proposed, person_of, require_words
from policy_engine.service.administration.desk_faults import DeskConflict, NotAccepted, NothingThere, SecondPersonNeeded
from policy_engine.service.administration.simulate import SIMULATED_ID, recorded
from policy_engine.service.gate.snapshot import Ground

ROWS: Final = "release"


class ReviewStatus(StrEnum):
    """Where a case is: open, waiting for the second person of a release, or ended."""

    OPEN = "open"
    RELEASE_ASKED = "release_asked"
    REFUSED = "refused"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRows:
    """The rows of a release as they will be, or were, recorded, and the digest that the second person confirms."""

    digest: str
    rows: RosterRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A case with what became of it, and the rows of its release once one was asked for."""

    opened: OpenedReview
    due_at: datetime
    status: ReviewStatus
    asked: AskedRelease | None = None
    closed: ClosedReview | None = None
    rows: ShownRows | None = None

    @property
    def is_open(self) -> bool:
        return self.status in (ReviewStatus.OPEN, ReviewStatus.RELEASE_ASKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFile:
    """Everything that somebody needs to decide a case: the held decision, what would lift the rule's bar, and, where
    the file has one, the clearance of each potential listing as rows of a membership document."""

    review: Review
    decision: RecordedDecision
    record: bytes
    lifts: str
    clearance: str


class Reviews:
    """The use cases of reviews."""

    def __init__(self, *, desk: Administration, decisions: DecisionLog, due: timedelta) -> None:
        self.desk = desk
        self._decisions = decisions
        self._due = due

    def all(self) -> tuple[Review, ...]:
        """Every case, oldest first. Raises `LogUnavailable`."""
        ground = self.desk.view.refresh()
        return tuple(self._review(opened, ground) for opened in self.desk.log.reviews())

    def show(self, case: str) -> ReviewFile:
        """A case with its held decision. Raises `NothingThere` and `LogUnavailable`."""
        ground = self.desk.view.refresh()
        review = self._review(self._opened(case), ground)
        record = self._decisions.read(review.opened.decision)
        if record is None:
            raise NothingThere(f"the decision of case {quoted(case)} is not in the log")
        judge = ground.judge_at(self.desk.clock())
        decision = read_record(record)
        cleared = self._clearance(decision, ground)
        return ReviewFile(
            review=review,
            decision=decision,
            record=record,
            lifts="" if judge is None else _lifting(judge.book, review.opened.key.rule),
            clearance=write_members(cleared) if cleared.listings else "",
        )

    def refuse(self, actor: Actor, case: str, *, rationale: str) -> Review:
        """Close a case; what was held stays denied.

        Raises `PersonNeeded`, `NothingThere`, `DeskConflict` for a case that has ended, `NotAccepted` without a
        rationale.
        """
        person_of(actor)
        opened = self._opened(case)
        require_words(rationale, "closing a case needs a rationale")

        def make(ground: Ground, _: datetime) -> Proposed:
            _refuse_ended(ground, case)
            event = ReviewClosed(case=case, key=opened.key, outcome=ReviewOutcome.REFUSED, rationale=rationale)
            return Proposed(event=event)

        self.desk.act(actor, make)
        return self._review(opened, self.desk.view.current())

    def ask_release(self, actor: Actor, case: str, *, rationale: str, document: bytes) -> Review:
        """Ask to release a case with the rows of a membership document (YAML or JSON). Asked again, with other rows,
        it takes the place of what was asked before, and needs a confirmation of its own.

        Raises what `refuse` does, `NotAccepted` for a document with faults or with rows about somebody who was no
        party, and `DeskConflict` for rows with which the rule would still hold the request.
        """
        person_of(actor)
        opened = self._opened(case)
        require_words(rationale, "closing a case needs a rationale")

        def make(ground: Ground, at: datetime) -> Proposed:
            _refuse_ended(ground, case)
            rows = self._rows(document, opened, ground)
            self._refuse_useless(opened, rows, ground, at)
            shown = encode_rows(rows)
            event = ReviewReleaseAsked(
                case=case, key=opened.key, rationale=rationale, rows=digest_of(document), shown=digest_of(shown)
            )
            return Proposed(event=event, contents=(document, shown))

        self.desk.act(actor, make)
        return self._review(opened, self.desk.view.current())

    def confirm_release(self, actor: Actor, case: str, *, rows: str | None, rationale: str = "") -> Review:
        """Release, as the second person: the rows go on file and the case is closed, in one transaction.

        `rows` is the digest of the rows that the person was shown. Raises `PersonNeeded`, `NothingThere` when nobody
        asked, `SecondPersonNeeded` for the one who asked, `NotAccepted` without a digest, and `DeskConflict` for a case
        that has ended, for the digest of other rows than those that wait, and for rows that would no longer do.
        """
        person = person_of(actor)
        opened = self._opened(case)

        def make(ground: Ground, at: datetime) -> Proposed:
            _refuse_ended(ground, case)
            asked = ground.desk.releases.get(case)
            if asked is None:
                raise NothingThere(f"nobody asked to release case {quoted(case)}")
            asked_by = person_of(asked.actor)
            if asked_by == person:
                raise SecondPersonNeeded(
                    f"{quoted(person)} asked to release {quoted(case)}: another person has to confirm it"
                )
            _refuse_unseen(case, asked, rows)
            document = self.desk.log.content(asked.content.rows)
            if document is None:
                raise NothingThere(f"the rows of the release of {quoted(case)} are not in the archive")
            resolved = self._rows(document, opened, ground)
            if digest_of(encode_rows(resolved)) != asked.content.shown:
                raise DeskConflict(
                    f"what is on file has changed since the release of {quoted(case)} was asked for, and its document"
                    " would record other rows now; ask for the release again"
                )
            self._refuse_useless(opened, resolved, ground, at)
            event = ReviewClosed(
                case=case,
                key=opened.key,
                outcome=ReviewOutcome.RELEASED,
                rationale=rationale if rationale.strip() else asked.content.rationale,
                asked_by=asked_by,
                rows=asked.content.rows,
                revision=ground.roster.revision + 1,
                shown=asked.content.shown,
            )
            return Proposed(event=event, rows=resolved, reason=f"release of {case}: {event.rationale}", change=case)

        self.desk.act(actor, make)
        return self._review(opened, self.desk.view.current())

    def _opened(self, case: str) -> OpenedReview:
        found = self.desk.log.reviews(case)
        if not found:
            raise NothingThere(
                f"there is no case {quoted(case)}; if its key had opened as many cases as it may within the hour, the"
                f" request is in the case of the rule `{FULL_RULE}`, and gets one of its own when it is made again"
            )
        return found[0]

    def _review(self, opened: OpenedReview, ground: Ground) -> Review:
        asked, closed = ground.desk.releases.get(opened.id), ground.desk.closed.get(opened.id)
        status = ReviewStatus.OPEN if asked is None else ReviewStatus.RELEASE_ASKED
        if closed is not None:
            status = ReviewStatus(closed.content.outcome.value)
        return Review(
            opened=opened,
            due_at=opened.opened_at + self._due,
            status=status,
            asked=asked,
            closed=closed,
            rows=self._shown(closed or asked),
        )

    def _shown(self, release: AskedRelease | ClosedReview | None) -> ShownRows | None:
        digest = None if release is None else release.content.shown
        if digest is None:
            return None
        content = self.desk.log.content(digest)
        if content is None:
            raise NothingThere(f"the rows of the release of {quoted(digest)} are not in the archive")
        return ShownRows(digest=digest, rows=decode_rows(content))

    def _rows(self, document: bytes, opened: OpenedReview, ground: Ground) -> RosterRows:
        judge = ground.judge_at(self.desk.clock())
        names = None if judge is None else names_read(judge.book)
        try:
            rows = read_members(document, ROWS, existing=self.desk.log.rows_at(ground.roster.revision), names=names)
        except FaultsError as error:
            raise NotAccepted("the rows of the release have faults", tuple(error.faults)) from error
        if any(row.recorded_at is not None for row in each_row(rows)):
            raise NotAccepted("the rows of a release are recorded when it is confirmed; leave out `recorded_at`")
        rows = _for_the_purpose(rows, opened)
        strangers = self._about(opened, ground).strangers(rows)
        if strangers:
            raise NotAccepted(
                f"a release of {quoted(opened.id)} puts rows about the parties of its decision on file and nothing"
                f" else: {many(len(strangers), 'row is', 'rows are')} not",
                tuple(
                    Fault(source=ROWS, line=1, column=1, message=row_text(row), remedy=STRANGER) for row in strangers
                ),
            )
        return rows

    def _about(self, opened: OpenedReview, ground: Ground) -> CaseParties:
        record = self._decisions.read(opened.decision)
        if record is None:
            raise NothingThere(f"the decision of case {quoted(opened.id)} is not in the log")
        return parties_of(read_record(record), ground.roster)

    def _refuse_useless(self, opened: OpenedReview, rows: RosterRows, ground: Ground, at: datetime) -> None:
        """Rows that leave the rule of the case standing release nothing."""
        if opened.key.rule == FULL_RULE:
            raise DeskConflict(
                f"case {quoted(opened.id)} stands for many requests, so nothing can be released by it: a request"
                " that its key makes again after the hour gets a case of its own"
            )
        record = self._decisions.read(opened.decision)
        request = None if record is None else read_record(record).request
        if record is None or request is None:
            raise NothingThere(f"the request of case {quoted(opened.id)} is not in the log")
        existing = self.desk.log.rows_at(ground.roster.revision)
        dated = with_rows(existing, recorded(rows, at))
        roster = Roster.as_known(dated, revision=ground.roster.revision)
        if dated == existing:
            raise NotAccepted(
                "the release puts nothing on file: add an authorisation, a statement or a cleared listing"
            )
        basis = Basis(judge=ground.judge_at(at), roster=roster, epoch=ground.epoch)
        verdict = conclude(request, read_record(record).caller, basis, decision_id=SIMULATED_ID, at=at).verdict
        if verdict.reason.rule in (FAULT_RULE, NO_BOOK_RULE):
            raise DeskConflict(f"with these rows the request cannot be judged: {verdict.reason.message}")
        standing = [one for one in verdict.deciding if one.rule == opened.key.rule and one.hold]
        if standing:
            raise DeskConflict(_still(standing[0]))

    def _clearance(self, decision: RecordedDecision, ground: Ground) -> RosterRows:
        """The potential listings of the parties judged, ended now, and their clearance from now on."""
        at = self.desk.clock()
        about = parties_of(decision, ground.roster)
        parties = about.organisations | {f"{PERSON_PREFIX}{person}" for person in about.persons}
        rows: list[Listing] = []
        for name in sorted(parties):
            for listing in ground.roster.listings.get(name, ()):
                if listing.status is ListingStatus.POTENTIAL and listing.valid.holds(at):
                    ended = replace(listing, valid=replace(listing.valid, end=at), recorded_at=None)
                    cleared = replace(
                        listing,
                        status=ListingStatus.CLEARED,
                        cleared_version=listing.entry_version,
                        valid=replace(listing.valid, start=at, end=None),
                        recorded_at=None,
                    )
                    rows += [ended, cleared]
        return RosterRows(listings=tuple(rows))


def _lifting(book: Book, rule: str) -> str:
    """What lifts a rule's bar, with what the rows that it names say of themselves."""
    row = book.row(rule)
    if row is None:
        return ""
    terms = [term for terms in row.unless.alternatives for term in terms if term.word == ROW_WORD]
    said = " ".join(lifter.message for term in terms if (lifter := book.row(term.parameter or "")) is not None)
    return f"{row.unless.text} ({said})" if said else row.unless.text


def _still(finding: Finding) -> str:
    missing = f"; nobody knows {', '.join(finding.missing)}" if finding.missing else ""
    return (
        f"with these rows rule `{finding.rule}` would still hold the request ({', '.join(finding.codes)}{missing});"
        " `reviews show` says what lifts it"
    )


def _for_the_purpose(rows: RosterRows, opened: OpenedReview) -> RosterRows:
    """The rows, their authorisations bound to the purpose that was held: one that names none gets it.

    A case in which no purpose was stated binds to none. Raises `NotAccepted` for an authorisation of another purpose.
    """
    purpose = opened.key.purpose
    if not purpose:
        return rows
    for row in rows.authorisations:
        if row.purposes is not None and row.purposes != (purpose,):
            raise NotAccepted(
                f"the authorisation {quoted(row.id)} is for {', '.join(map(quoted, row.purposes)) or 'no purpose'}, and"
                f" what was held is {quoted(purpose)}: write `purposes: [{purpose}]`, or leave `purposes` out"
            )
    bound = tuple(row if row.retracted else replace(row, purposes=(purpose,)) for row in rows.authorisations)
    return replace(rows, authorisations=bound)


def _refuse_unseen(case: str, asked: AskedRelease, rows: str | None) -> None:
    """The second person confirms what was shown, and not what somebody put in its place."""
    shown = asked.content.shown
    if shown is None:
        raise DeskConflict(
            f"the release of {quoted(case)} was asked for before its rows were shown to anybody; ask for it again"
        )
    if rows is None:
        raise NotAccepted(
            f"a release is confirmed by the digest of the rows that were shown: look at case {quoted(case)}, and give"
            " the digest of its rows as `rows`"
        )
    if rows != shown:
        raise DeskConflict(
            f"{quoted(rows)} are not the rows that are waiting for confirmation in {quoted(case)}: look at the"
            " case again"
        )


def _refuse_ended(ground: Ground, case: str) -> None:
    closed = ground.desk.closed.get(case)
    if closed is not None:
        raise DeskConflict(f"case {quoted(case)} has ended: {closed.content.outcome.value}")
