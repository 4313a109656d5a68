"""What people change, as events that are recorded in the same log as the decisions and never altered.

Every event that a decision stands on moves the control epoch in the transaction that records it. The desk (`desk.py`)
is a fold over these events; there is no other place in which the state of books, freezes or reviews is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from policy_engine.domain.freezes import Freeze
from policy_engine.domain.legal_holds import Hold
from policy_engine.domain.reviews import ReviewKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it: the key's id, or the name of a command, and the natural person that the key is bound to."""

    key: str
    person: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report that is kept with a proposal: what it is, the SHA-256 of its bytes, and its outcome in a sentence."""

    name: str
    digest: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookFounded:
    """The first book of a database, taken from the folder of the process that found it empty."""

    fingerprint: str
    archive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookWatched:
    """A book that `serve --watch` took from its folder, in force from the event's instant on.

    `cases` is the digest of the report about its worked examples where some went or changed, which nobody acknowledged.
    """

    fingerprint: str
    archive: str
    cases: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookProposed:
    """A book that somebody proposes. `base` is the fingerprint of the book that it was compared with; `effective` is
    when it is to be in force, `None` for at once; `withdraws` are approved proposals not yet in force that it ends."""

    proposal: str
    fingerprint: str
    archive: str
    base: str
    effective: datetime | None
    note: str
    rollback: bool
    withdraws: tuple[str, ...]
    reports: tuple[Report, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookApproved:
    """Another person's approval: the book is in force from the instant on.

    `cases` is the digest of the report about worked examples that went or changed, which the person acknowledged.
    """

    proposal: str
    fingerprint: str
    archive: str
    in_force: datetime
    note: str
    withdraws: tuple[str, ...]
    cases: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalWithdrawn:
    """A proposed book that nobody approved is no longer put forward."""

    proposal: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeDeclared:
    """One person stopped something."""

    freeze: Freeze


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeLiftAsked:
    """The first of the two persons that lifting needs."""

    freeze: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeLifted:
    """The second person; the freeze is over from the event's instant on."""

    freeze: str
    reason: str
    asked_by: str


class ReviewOutcome(StrEnum):
    """How a review ended: what was held stays denied, or something on file now lets it go."""

    REFUSED = "refused"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewReleaseAsked:
    """One person wants to release, with the membership document, by digest, whose rows go on file for it.

    `shown` is the digest of those rows in canonical form: what the second person is shown and confirms. A release that
    was asked for before rows were shown has none, and is asked for again.
    """

    case: str
    key: ReviewKey
    rationale: str
    rows: str
    shown: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewClosed:
    """The end of a case. A release names who asked for it, the membership revision that has its rows, and in `shown`
    the digest of the rows that the second person confirmed."""

    case: str
    key: ReviewKey
    outcome: ReviewOutcome
    rationale: str
    asked_by: str | None = None
    rows: str | None = None
    revision: int | None = None
    shown: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersRecorded:
    """A membership revision: how many rows were added, why, and the SHA-256 of their canonical form, under which they
    are kept. `change` is the change of members, or the case of the review, that they come with, if one did."""

    revision: int
    added: int
    reason: str
    digest: str
    change: str | None = None


class AtOnce(StrEnum):
    """Why a change of members needs no second person: its rows only narrow, or are of the kinds of a feed's key."""

    NARROW = "narrow"
    FEED = "feed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersProposed:
    """A change of members through the service.

    `document` is the digest of what was sent, a membership document or edits of single rows, `rows` that of the rows in
    canonical form, and `shown` that of the rows with whom they give or take which model: what the second person is
    shown and approves. `at_once` says why the rows
    went on file with this event; `None` waits for the second person.
    """

    change: str
    document: str
    rows: str
    shown: str
    added: int
    reason: str
    at_once: AtOnce | None
    edits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersApproved:
    """The second person: the rows are on file from the event's instant on."""

    change: str
    rows: str
    shown: str
    asked_by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersWithdrawn:
    """A change of members that waited for a second person is no longer put forward."""

    change: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCreated:
    """A key came into force; its secret is nowhere. `feed` are the kinds of rows that the key of a feed records."""

    key: str
    name: str
    rights: tuple[str, ...]
    gateway: str | None
    person: str | None
    assertable: tuple[str, ...]
    feed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRevoked:
    """A key is no longer in force."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldPlaced:
    """Records that must be kept whatever their clocks say; what was retired before is not brought back."""

    hold: Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldReleased:
    """A hold is over from the event's instant on."""

    hold: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class YearRetired:
    """A year of the log whose decisions may be removed from now on: how many there were, and what the log said last.

    `first_index` and `size` are those of the year in the whole log; `checkpoint` is its last signed checkpoint, whole,
    and `key` the verifier key for it.
    """

    year: int
    first_index: int
    size: int
    decisions: int
    checkpoint: str
    key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRead:
    """Somebody was shown a report that names people on file. It changes nothing, and brings no epoch of its own."""

    proposal: str
    report: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersAsked:
    """Somebody searched decisions by what was on file about those whom they were about. It changes nothing, and brings
    no epoch of its own.

    `what` is what was asked for, `decisions` or their `export`; `on_file` the fact with its value; `filters` the other
    parameters as `name=value`.
    """

    what: str
    on_file: str
    filters: tuple[str, ...]


Event: TypeAlias = (
    BookFounded
    | BookWatched
    | BookProposed
    | BookApproved
    | ProposalWithdrawn
    | FreezeDeclared
    | FreezeLiftAsked
    | FreezeLifted
    | ReviewReleaseAsked
    | ReviewClosed
    | MembersProposed
    | MembersApproved
    | MembersWithdrawn
    | MembersRecorded
    | KeyCreated
    | KeyRevoked
    | HoldPlaced
    | HoldReleased
    | YearRetired
    | ReportRead
    | MembersAsked
)

KINDS: Final[dict[str, type[Event]]] = {
    "book.founded": BookFounded,
    "book.watched": BookWatched,
    "book.proposed": BookProposed,
    "book.approved": BookApproved,
    "book.withdrawn": ProposalWithdrawn,
    "freeze.declared": FreezeDeclared,
    "freeze.lift_asked": FreezeLiftAsked,
    "freeze.lifted": FreezeLifted,
    "review.release_asked": ReviewReleaseAsked,
    "review.closed": ReviewClosed,
    "members.proposed": MembersProposed,
    "members.approved": MembersApproved,
    "members.withdrawn": MembersWithdrawn,
    "members.recorded": MembersRecorded,
    "key.created": KeyCreated,
    "key.revoked": KeyRevoked,
    "hold.placed": HoldPlaced,
    "hold.released": HoldReleased,
    "year.retired": YearRetired,
    "report.read": ReportRead,
    "members.asked": MembersAsked,
}
"""The kinds of event by their name in the record; a name keeps its meaning for ever."""

_OF_THE_DESK: Final = ("book", "freeze", "review", "hold", "year")
BOOK_KINDS: Final = ("book.founded", "book.watched", "book.proposed", "book.approved")
"""The kinds of change by which a book comes into force."""

WAITING_KINDS: Final = ("members.proposed", "members.approved", "members.withdrawn")
"""The kinds that tell which changes of members wait for whom: no decision stands on these, but on the rows alone."""

DESK_KINDS: Final = tuple(name for name in KINDS if name.partition(".")[0] in _OF_THE_DESK or name in WAITING_KINDS)
"""The kinds that the desk is folded from."""


def kind_of(event: Event) -> str:
    """The name of an event's kind."""
    return next(name for name, one in KINDS.items() if type(event) is one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One event with its id, its instant, who did it, and the control epoch that it brought."""

    id: str
    at: datetime
    actor: Actor
    epoch: int
    event: Event

    @property
    def kind(self) -> str:
        """The name of the event's kind."""
        return kind_of(self.event)


def rows_named(event: Event) -> str | None:
    """The digest under which the rows of members that an event comes with, or asks for, are kept."""
    match event:
        case MembersRecorded():
            return event.digest
        case ReviewReleaseAsked() | ReviewClosed():
            return event.shown
        case MembersProposed() | MembersApproved():
            return event.rows
        case _:
            return None
