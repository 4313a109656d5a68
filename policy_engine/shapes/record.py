"""Records of decisions as they stand in the log, and pages of them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, UnsetType

from policy_engine.shapes.answer import AnswerDocument
from policy_engine.shapes.document import Document, Instant, one_of
from policy_engine.shapes.request import RequestBody


class RecordPart(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a record. A member that is not declared is of a release that knows more, so that it is not read by this
    one; a member that comes to be declared has to be `UNSET` where it is absent, as it is in older records."""


class IdentityDocument(RecordPart, frozen=True, kw_only=True):
    """Who asked by a token or a certificate: its issuer, null where none was told, and whom it means."""

    by: Literal["token", "certificate"]
    issuer: str | None
    subject: str


class CallerDocument(RecordPart, frozen=True, kw_only=True):
    """The key that asked, or who asked without one, with what it could do then."""

    id: str
    gateway: str | None
    assertable: tuple[str, ...]
    explain: bool
    profile: Annotated[
        str | UnsetType, Meta(description="The fingerprint of the gateways' profiles by which the question was read.")
    ] = UNSET
    identity: IdentityDocument | UnsetType = UNSET


class MembershipOnRecord(RecordPart, frozen=True, kw_only=True):
    """A membership in force that was looked at."""

    consortium: str
    status: str


class ListingOnRecord(RecordPart, frozen=True, kw_only=True):
    """A listing in force that was looked at. `party` is an organisation id or `person:<id>`."""

    party: str
    list: str
    status: str
    entry_version: str | None


class AuthorisationOnRecord(RecordPart, frozen=True, kw_only=True):
    """An authorisation that fits the request; `state` is usable, full or ended."""

    id: str
    state: str


class ClusterOnRecord(RecordPart, frozen=True, kw_only=True):
    """The cluster that an account was in, and the instant of its last reading."""

    id: str
    as_of: Instant | None


Codes = tuple[str, ...] | UnsetType | None
Stated = str | UnsetType | None


class KnownDocument(RecordPart, frozen=True, kw_only=True):
    """The facts on file that the words asked of a party read. One that no word read is absent; null is a fact that
    nobody filed."""

    us_status: Codes = UNSET
    citizenships: Codes = UNSET
    past_citizenships: Codes = UNSET
    permanent_residencies: Codes = UNSET
    employment: Codes = UNSET
    incorporated: Stated = UNSET
    headquarters: Stated = UNSET
    sector: Stated = UNSET
    reseller: bool | UnsetType | None = UNSET
    memberships: tuple[MembershipOnRecord, ...] | UnsetType = UNSET
    statements: tuple[str, ...] | UnsetType = UNSET
    authorisations: tuple[AuthorisationOnRecord, ...] | UnsetType = UNSET
    listings: tuple[ListingOnRecord, ...] | UnsetType = UNSET
    cluster: ClusterOnRecord | UnsetType | None = UNSET

    @property
    def looked_at(self) -> frozenset[str]:
        """The facts that are here, be they filed or not."""
        return frozenset(name for name in self.__struct_fields__ if getattr(self, name) is not UNSET)


class PartyDocument(RecordPart, frozen=True, kw_only=True):
    """A party as it was judged: what was on file, and the answer of every word that a rule in force asked. `subject` is
    `type:id`, null for the host of a copy."""

    role: Literal["subject", "end_user", "host"]
    subject: str | None
    organisation: str | None
    known: KnownDocument
    words: dict[str, Literal["yes", "no", "unknown"]]


class RequestDigest(RecordPart, frozen=True, kw_only=True):
    """In the place of a request that is too long or none: the SHA-256 of its document in hex."""

    sha256: str


class RecordDocument(RecordPart, frozen=True, kw_only=True):
    """A decision as it was recorded: the answer, what was asked and by whom, and what was on file for each party."""

    v: Annotated[int, Meta(description="The version of the layout.")]
    answer: AnswerDocument
    caller: CallerDocument
    control_epoch: int
    engine: str
    facts: tuple[PartyDocument, ...]
    request: Annotated[
        object, Meta(description="As it was sent, or its digest.", extra_json_schema=one_of(RequestBody, RequestDigest))
    ]


AsRecorded = Annotated[Raw, Meta(extra_json_schema=one_of(RecordDocument))]
"""A record as a part of a document: its bytes stand in it as they stand in the log."""


class CheckpointNamed(Document, frozen=True, kw_only=True):
    """The signed checkpoint that a root is of."""

    origin: str
    size: int


class AsOfDocument(Document, frozen=True, kw_only=True):
    """The log that an answer is of: its size, and the root of the sealed tree in base64 with its checkpoint; null where
    there is no sealed log."""

    size: int
    root: str | None
    checkpoint: CheckpointNamed | UnsetType = UNSET


class UnreadDocument(Document, frozen=True, kw_only=True):
    """How many decisions a filter could not find, since no rule read what it asks for; `more`: at least so many."""

    filter: str
    decisions: int
    more: bool
    why: str


class PageDocument(Document, frozen=True, kw_only=True):
    """Decisions, the newest first, where the next page begins, and the log that they are of. `retired` are years that
    the filters reach into and that are no longer kept."""

    decisions: tuple[AsRecorded, ...]
    next_cursor: str | None
    as_of: AsOfDocument
    retired: tuple[int, ...] | UnsetType = UNSET
    unread: tuple[UnreadDocument, ...] | UnsetType = UNSET


class DifferenceDocument(Document, frozen=True, kw_only=True):
    """A place at which two records differ, as a JSON path; the values are JSON texts, null is a member that is not
    there."""

    path: str
    recorded: str | None
    now: str | None


class ReplayedDocument(Document, frozen=True, kw_only=True):
    """A decision made again with what was known then: whether the bytes are the same, and where they differ."""

    decision_id: str
    same: bool | None
    shortened: bool
    engine: str
    engine_now: str
    differences: tuple[DifferenceDocument, ...]
    obstacle: str | None


class KnownNowDocument(Document, frozen=True, kw_only=True):
    """What a decision would have been at its instant, had everything been known that is known now."""

    decision_id: str
    at: Instant
    policy_version: str
    membership_revision: int
    allowed: bool
    allowed_now: bool | None
    differences: tuple[DifferenceDocument, ...]
    obstacle: str | None
