"""The policy desk as it stands after a list of changes: books and proposals, freezes, closed reviews. Pure.

Which book is in force is a function of the instant: of those that were founded, watched or approved and not withdrawn
the one with the latest beginning, and of two that begin at once the one recorded later.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from policy_engine.domain.changes import (
    Actor,
    BookApproved,
    BookFounded,
    BookProposed,
    BookWatched,
    Change,
    FreezeDeclared,
    FreezeLiftAsked,
    FreezeLifted,
    HoldPlaced,
    HoldReleased,
    MembersApproved,
    MembersProposed,
    MembersWithdrawn,
    ProposalWithdrawn,
    ReviewClosed,
    ReviewReleaseAsked,
    YearRetired,
)
from policy_engine.domain.freezes import Freeze
from policy_engine.domain.legal_holds import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """A book in force from an instant on, and how it came to be: `via` is founding, watch or proposal."""

    fingerprint: str
    archive: str
    start: datetime
    via: str
    proposal: str | None = None
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Who took back what waited for another person, when and why."""

    actor: Actor
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A proposal with its author and, once approved, its approver and the instant from which it is in force.

    `cases` is the digest of the report about its worked examples, where the approver acknowledged it. `withdrawn_by` is
    the proposal that ended it after its approval, `withdrawal` how it was taken back before one.
    """

    content: BookProposed
    author: Actor
    proposed_at: datetime
    approver: Actor | None = None
    approved_at: datetime | None = None
    in_force: datetime | None = None
    cases: str | None = None
    withdrawn_by: str | None = None
    withdrawal: Withdrawal | None = None

    @property
    def id(self) -> str:
        return self.content.proposal

    def status(self, at: datetime) -> str:
        """Where it is: proposed, scheduled, put_in_force or withdrawn."""
        if self.withdrawn_by is not None or self.withdrawal is not None:
            return "withdrawn"
        if self.in_force is None:
            return "proposed"
        return "scheduled" if at < self.in_force else "put_in_force"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeState:
    """A freeze, who declared it, who asked to lift it and why, and when and by whom it was lifted."""

    freeze: Freeze
    declared_by: Actor
    lift_asked_by: Actor | None = None
    lift_reason: str | None = None
    lifted_by: Actor | None = None
    lifted_at: datetime | None = None

    def stands(self, at: datetime) -> bool:
        """Whether it bars at the instant."""
        return self.lifted_at is None and (self.freeze.until is None or at < self.freeze.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRelease:
    """A release that waits for a second person."""

    content: ReviewReleaseAsked
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedReview:
    """How a case ended, when and by whom."""

    content: ReviewClosed
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersChange:
    """A change of members, who proposed it and when, and who approved it, or took it back, where it waited for that."""

    content: MembersProposed
    proposer: Actor
    proposed_at: datetime
    approver: Actor | None = None
    approved_at: datetime | None = None
    withdrawal: Withdrawal | None = None

    @property
    def in_force(self) -> datetime | None:
        """Since when its rows are on file."""
        return self.approved_at if self.content.at_once is None else self.proposed_at


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldState:
    """A legal hold, who placed it and when, and who released it, when and why."""

    hold: Hold
    placed_by: Actor
    placed_at: datetime
    released_by: Actor | None = None
    released_at: datetime | None = None
    release_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredYear:
    """A year whose decisions are no longer kept, by whom and when; `change` is the id of the change that says so."""

    content: YearRetired
    change: str
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The state; build it with `desk_after`."""

    books: tuple[InForce, ...] = ()
    proposals: Mapping[str, Proposal] = field(default_factory=dict)
    freezes: Mapping[str, FreezeState] = field(default_factory=dict)
    releases: Mapping[str, AskedRelease] = field(default_factory=dict)
    closed: Mapping[str, ClosedReview] = field(default_factory=dict)
    closings: Mapping[str, int] = field(default_factory=dict)
    members: Mapping[str, MembersChange] = field(default_factory=dict)
    holds: Mapping[str, HoldState] = field(default_factory=dict)
    retired: Mapping[int, RetiredYear] = field(default_factory=dict)
    reached: datetime | None = None

    def moment(self, at: datetime) -> datetime:
        """The instant, or, where the clock that gave it runs behind that of whoever put a book in force at once, the
        beginning of that book: for who has read that it is in force, it is."""
        return at if self.reached is None else max(at, self.reached)

    def book_at(self, at: datetime) -> InForce | None:
        """The book in force at an instant of the past or the future; of a decision now, at its `moment`."""
        place = bisect_right(self.books, at, key=lambda one: one.start)
        return self.books[place - 1] if place else None

    def next_book(self, at: datetime) -> InForce | None:
        """The next book that comes into force after an instant."""
        place = bisect_right(self.books, at, key=lambda one: one.start)
        return self.books[place] if place < len(self.books) else None

    def standing_freezes(self) -> tuple[Freeze, ...]:
        """Every freeze that was not lifted, in the order of its id."""
        return tuple(self.freezes[name].freeze for name in sorted(self.freezes) if self.freezes[name].lifted_at is None)

    def freezes_in_force(self) -> tuple[Freeze, ...]:
        """The freezes that were not lifted, as they bar whoever has read of them: from ever, until they run out.

        That a freeze is on record is that it has begun, whatever the clock of a process says.
        """
        return tuple(replace(freeze, start=_EVER) for freeze in self.standing_freezes())

    def standing_holds(self) -> tuple[Hold, ...]:
        """Every legal hold that was not released, in the order of its id."""
        return tuple(self.holds[name].hold for name in sorted(self.holds) if self.holds[name].released_at is None)

    def archive_of(self, fingerprint: str) -> str | None:
        """Where the files of a book that was ever accepted or proposed are kept."""
        for book in reversed(self.books):
            if book.fingerprint == fingerprint:
                return book.archive
        for proposal in self.proposals.values():
            if proposal.content.fingerprint == fingerprint:
                return proposal.content.archive
        return None


_EVER: Final = datetime.min.replace(tzinfo=UTC)


def desk_after(changes: Iterable[Change]) -> Desk:
    """The desk after the changes, in the order in which they were recorded.

    A book that is put in force at once follows those that were before, also where the clock of who did it runs behind.
    """
    entered: list[InForce] = []
    reached: datetime | None = None
    proposals: dict[str, Proposal] = {}
    freezes: dict[str, FreezeState] = {}
    releases: dict[str, AskedRelease] = {}
    closed: dict[str, ClosedReview] = {}
    closings: Counter[str] = Counter()
    members: dict[str, MembersChange] = {}
    holds: dict[str, HoldState] = {}
    retired: dict[int, RetiredYear] = {}
    for change in changes:
        event = change.event
        match event:
            case BookFounded() | BookWatched():
                reached = _latest(change.at, reached)
                entered.append(
                    InForce(
                        fingerprint=event.fingerprint,
                        archive=event.archive,
                        start=reached,
                        via="founding" if isinstance(event, BookFounded) else "watch",
                        actor=change.actor,
                    )
                )
            case BookProposed() | ProposalWithdrawn():
                _propose(change, event, proposals)
            case BookApproved():
                _approve(change, event, proposals)
                start = event.in_force
                if start <= _latest(change.at, reached):
                    start = reached = _latest(start, reached)
                entered.append(
                    InForce(
                        fingerprint=event.fingerprint,
                        archive=event.archive,
                        start=start,
                        via="proposal",
                        proposal=event.proposal,
                        actor=change.actor,
                    )
                )
            case FreezeDeclared() | FreezeLiftAsked() | FreezeLifted():
                _freeze(change, event, freezes)
            case ReviewReleaseAsked() | ReviewClosed():
                _review(change, event, releases, closed, closings)
            case MembersProposed() | MembersApproved() | MembersWithdrawn():
                _change_members(change, event, members)
            case HoldPlaced() | HoldReleased() | YearRetired():
                _keep(change, event, holds, retired)
    return Desk(
        books=_books(entered, proposals),
        proposals=proposals,
        freezes=freezes,
        releases=releases,
        closed=closed,
        closings=dict(closings),
        members=members,
        holds=holds,
        retired=retired,
        reached=reached,
    )


def _books(entered: Iterable[InForce], proposals: Mapping[str, Proposal]) -> tuple[InForce, ...]:
    """The books that were not withdrawn, in the order in which they begin."""
    withdrawn = {name for name, proposal in proposals.items() if proposal.withdrawn_by is not None}
    # Sorting keeps the order of recording among books that begin at the same instant, so the later one comes last.
    return tuple(sorted((book for book in entered if book.proposal not in withdrawn), key=lambda one: one.start))


def _latest(at: datetime, reached: datetime | None) -> datetime:
    return at if reached is None else max(at, reached)


def _freeze(
    change: Change, event: FreezeDeclared | FreezeLiftAsked | FreezeLifted, freezes: dict[str, FreezeState]
) -> None:
    match event:
        case FreezeDeclared():
            freezes[event.freeze.id] = FreezeState(freeze=event.freeze, declared_by=change.actor)
        case FreezeLiftAsked():
            freezes[event.freeze] = replace(freezes[event.freeze], lift_asked_by=change.actor, lift_reason=event.reason)
        case FreezeLifted():
            freezes[event.freeze] = replace(freezes[event.freeze], lifted_by=change.actor, lifted_at=change.at)


def _review(
    change: Change,
    event: ReviewReleaseAsked | ReviewClosed,
    releases: dict[str, AskedRelease],
    closed: dict[str, ClosedReview],
    closings: Counter[str],
) -> None:
    match event:
        case ReviewReleaseAsked():
            releases[event.case] = AskedRelease(content=event, actor=change.actor, at=change.at)
        case ReviewClosed():
            releases.pop(event.case, None)
            closed[event.case] = ClosedReview(content=event, actor=change.actor, at=change.at)
            closings[event.key.digest] += 1


def _keep(
    change: Change,
    event: HoldPlaced | HoldReleased | YearRetired,
    holds: dict[str, HoldState],
    retired: dict[int, RetiredYear],
) -> None:
    match event:
        case HoldPlaced():
            holds[event.hold.id] = HoldState(hold=event.hold, placed_by=change.actor, placed_at=change.at)
        case HoldReleased():
            holds[event.hold] = replace(
                holds[event.hold], released_by=change.actor, released_at=change.at, release_reason=event.reason
            )
        case YearRetired():
            retired[event.year] = RetiredYear(content=event, change=change.id, actor=change.actor, at=change.at)


def _change_members(
    change: Change, event: MembersProposed | MembersApproved | MembersWithdrawn, members: dict[str, MembersChange]
) -> None:
    match event:
        case MembersProposed():
            members[event.change] = MembersChange(content=event, proposer=change.actor, proposed_at=change.at)
        case MembersApproved():
            members[event.change] = replace(members[event.change], approver=change.actor, approved_at=change.at)
        case MembersWithdrawn():
            members[event.change] = replace(members[event.change], withdrawal=_withdrawal(change, event.reason))


def _propose(change: Change, event: BookProposed | ProposalWithdrawn, proposals: dict[str, Proposal]) -> None:
    match event:
        case BookProposed():
            proposals[event.proposal] = Proposal(content=event, author=change.actor, proposed_at=change.at)
        case ProposalWithdrawn():
            held = proposals[event.proposal]
            proposals[event.proposal] = replace(held, withdrawal=_withdrawal(change, event.reason))


def _withdrawal(change: Change, reason: str) -> Withdrawal:
    return Withdrawal(actor=change.actor, at=change.at, reason=reason)


def _approve(change: Change, event: BookApproved, proposals: dict[str, Proposal]) -> None:
    proposals[event.proposal] = replace(
        proposals[event.proposal],
        approver=change.actor,
        approved_at=change.at,
        in_force=event.in_force,
        cases=event.cases,
    )
    for name in event.withdraws:
        proposals[name] = replace(proposals[name], withdrawn_by=event.proposal)
