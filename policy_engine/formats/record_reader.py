"""A record read back: canonical bytes to a decision as it was recorded, or the place where they are no record.

Each version of the layout (`record`) has its own shapes here and stays readable for ever. They are stricter than the
reader of requests in nothing: what was recorded once was lawful then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec.structs import asdict

from policy_engine.domain.instants import InstantError, parse_instant
from policy_engine.domain.request import Assertion, Caller, Destination, Place, Request, Subject
from policy_engine.domain.rules import FAULT_RULE
from policy_engine.formats.record import says_too_long
from policy_engine.shapes.document import Body
from policy_engine.shapes.request import PLAIN, RequestBody, SubjectBody

Shape = TypeVar("Shape")


class RecordFault(ValueError):
    """The bytes are no record of a known version; `place` is a JSON path."""

    def __init__(self, place: str, message: str) -> None:
        self.place = place
        super().__init__(f"{place}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFinding:
    """One row that matched, without its texts. `review` is the id of the case that it opened or waits for.

    `lifters` is everything that lifted it, rows by their ids and other conditions as they are written; `authorisations`
    are those that the row's own condition found usable, by id.
    """

    rule: str
    regime: str
    effect: str
    state: str
    codes: tuple[str, ...]
    hold: bool
    lifted_by: str | None
    review: str | None
    lifters: tuple[str, ...] = ()
    authorisations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMembership:
    """A membership in force that was looked at."""

    consortium: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedListing:
    """A listing in force that was looked at. `party` is an organisation id or `person:<id>`."""

    party: str
    list: str
    status: str
    entry_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPaper:
    """An authorisation that fitted the request; `state` is usable, full or ended."""

    id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCluster:
    """The cluster that an account was in, and the instant of its last reading."""

    id: str
    as_of: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedParty:
    """A party as it was judged: what was looked at, and the facts on file by value.

    `looked_at` names the facts that have a value here: of these `None` is a fact that nobody filed, and every other
    fact was not read at all. `subject` is `type:id`, `None` for the host of a copy.
    """

    role: str
    subject: str | None
    organisation: str | None
    words: Mapping[str, str]
    looked_at: frozenset[str]
    us_status: tuple[str, ...] | None
    citizenships: tuple[str, ...] | None
    past_citizenships: tuple[str, ...] | None
    permanent_residencies: tuple[str, ...] | None
    employment: tuple[str, ...] | None
    incorporated: str | None
    headquarters: str | None
    sector: str | None
    reseller: bool | None
    memberships: tuple[RecordedMembership, ...]
    listings: tuple[RecordedListing, ...]
    statements: tuple[str, ...]
    authorisations: tuple[RecordedPaper, ...]
    cluster: RecordedCluster | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision as its record tells it.

    `shortened` is that its facts were left out, because the record would have been too long. `request` is `None` where
    the request itself was too long or none, and in every shortened record of earlier releases: `request_digest` is in
    its place. `model` is the catalogue's id
    where the request's name was found, `tier` then its market tier. `policy_version` is "none" where no book was in
    force.
    """

    version: int
    id: str
    decided_at: datetime
    valid_until: datetime
    allowed: bool
    hold: bool
    reason_rule: str
    reason_code: str
    findings: tuple[RecordedFinding, ...]
    missing: tuple[str, ...]
    request: Request | None
    request_digest: str | None
    caller: Caller
    model: str
    tier: str | None
    policy_version: str
    membership_revision: int
    control_epoch: int
    engine: str
    parties: tuple[RecordedParty, ...]
    shortened: bool

    @property
    def decision(self) -> str:
        """`allow` or `deny`."""
        return "allow" if self.allowed else "deny"


def read_record(body: bytes) -> RecordedDecision:
    """The decision in a record of any version that was ever written. Raises `RecordFault`."""
    version = _decoded(_ANY_VERSION, body).v
    read = _READERS.get(version)
    if read is None:
        raise RecordFault("$.v", f"version {version} is not known; known are {', '.join(map(str, sorted(_READERS)))}")
    return read(body)


_PLACE: Final = re.compile(r"(.*?)(?: - at `(\$.*)`)?", re.DOTALL)


def _decoded(decoder: msgspec.json.Decoder[Shape], body: bytes) -> Shape:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        matched = _PLACE.fullmatch(str(error))
        message, place = (str(error), None) if matched is None else matched.groups()
        raise RecordFault(place or "$", message[:1].lower() + message[1:]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordFault("$", f"is not JSON: {error}") from error
    except RecursionError as error:
        raise RecordFault("$", "is nested too deeply") from error


class _AnyVersion(msgspec.Struct):
    v: int


_ANY_VERSION: Final = msgspec.json.Decoder(_AnyVersion)


# --- version 1 --------------------------------------------------------------------------------------------------------


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    """A shape that has no members but its own."""


class _Reason1(msgspec.Struct):
    rule: str
    code: str


class _Detail1(msgspec.Struct):
    fault: str | None = None
    lifted_by: str | tuple[str, ...] = ()
    authorisations: str | tuple[str, ...] = ()


class _Finding1(msgspec.Struct):
    rule: str
    regime: str
    effect: str
    state: str
    codes: tuple[str, ...]
    hold: bool
    lifted_by: str | None
    review: str | None
    detail: _Detail1 = msgspec.field(default_factory=_Detail1)


class _Model1(msgspec.Struct):
    id: str
    tier: str | None


class _Answer1(msgspec.Struct):
    decision: Literal["allow", "deny"]
    allowed: bool
    hold: bool
    reason: _Reason1
    findings: tuple[_Finding1, ...]
    missing: tuple[str, ...]
    decision_id: str
    decided_at: str
    valid_until: str
    policy_version: str
    membership_revision: int
    model: _Model1


class _Caller1(_Strict):
    id: str
    gateway: str | None
    assertable: tuple[str, ...]
    explain: bool


class _Membership1(_Strict):
    consortium: str
    status: str


class _Listing1(_Strict):
    party: str
    list: str
    status: str
    entry_version: str | None


class _Paper1(_Strict):
    id: str
    state: str


class _Cluster1(_Strict):
    id: str
    as_of: str | None


class _Known1(_Strict):
    us_status: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    citizenships: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    past_citizenships: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    permanent_residencies: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    employment: tuple[str, ...] | msgspec.UnsetType | None = msgspec.UNSET
    incorporated: str | msgspec.UnsetType | None = msgspec.UNSET
    headquarters: str | msgspec.UnsetType | None = msgspec.UNSET
    sector: str | msgspec.UnsetType | None = msgspec.UNSET
    reseller: bool | msgspec.UnsetType | None = msgspec.UNSET
    memberships: tuple[_Membership1, ...] | msgspec.UnsetType = msgspec.UNSET
    listings: tuple[_Listing1, ...] | msgspec.UnsetType = msgspec.UNSET
    statements: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    authorisations: tuple[_Paper1, ...] | msgspec.UnsetType = msgspec.UNSET
    cluster: _Cluster1 | msgspec.UnsetType | None = msgspec.UNSET


class _Party1(_Strict):
    role: Literal["subject", "end_user", "host"]
    subject: str | None
    organisation: str | None
    known: _Known1
    words: dict[str, Literal["yes", "no", "unknown"]]


class _Digest1(_Strict):
    sha256: str


class _Record1(_Strict):
    v: Literal[1]
    answer: _Answer1
    caller: _Caller1
    control_epoch: int
    engine: str
    facts: tuple[_Party1, ...]
    request: msgspec.Raw


_RECORD_1: Final = msgspec.json.Decoder(_Record1)
_REQUEST_1: Final = msgspec.json.Decoder(RequestBody)
_DIGEST_1: Final = msgspec.json.Decoder(_Digest1)


def _version_1(body: bytes) -> RecordedDecision:
    record = _decoded(_RECORD_1, body)
    answer, caller = record.answer, record.caller
    if answer.allowed is not (answer.decision == "allow"):
        raise RecordFault("$.answer.allowed", f"contradicts the decision, which is {answer.decision}")
    request, digest = _asked_1(bytes(record.request))
    return RecordedDecision(
        version=1,
        id=answer.decision_id,
        decided_at=_instant(answer.decided_at, "$.answer.decided_at"),
        valid_until=_instant(answer.valid_until, "$.answer.valid_until"),
        allowed=answer.allowed,
        hold=answer.hold,
        reason_rule=answer.reason.rule,
        reason_code=answer.reason.code,
        findings=tuple(
            RecordedFinding(
                rule=one.rule,
                regime=one.regime,
                effect=one.effect,
                state=one.state,
                codes=one.codes,
                hold=one.hold,
                lifted_by=one.lifted_by,
                review=one.review,
                lifters=_names_1(one.detail.lifted_by) or (() if one.lifted_by is None else (one.lifted_by,)),
                authorisations=_names_1(one.detail.authorisations),
            )
            for one in answer.findings
        ),
        missing=answer.missing,
        request=request,
        request_digest=digest,
        caller=Caller(
            id=caller.id, gateway=caller.gateway, assertable=frozenset(caller.assertable), explain=caller.explain
        ),
        model=answer.model.id,
        tier=answer.model.tier,
        policy_version=answer.policy_version,
        membership_revision=answer.membership_revision,
        control_epoch=record.control_epoch,
        engine=record.engine,
        parties=tuple(_party_1(party) for party in record.facts),
        shortened=request is None or _says_too_long(answer),
    )


def _says_too_long(answer: _Answer1) -> bool:
    told = (finding.detail.fault for finding in answer.findings if finding.rule == FAULT_RULE)
    return answer.reason.rule == FAULT_RULE and any(map(says_too_long, told))


def _names_1(told: str | tuple[str, ...]) -> tuple[str, ...]:
    return (told,) if isinstance(told, str) else told


def _instant(text: str, place: str) -> datetime:
    try:
        return parse_instant(text)
    except InstantError as error:
        raise RecordFault(place, str(error)) from error


def _asked_1(raw: bytes) -> tuple[Request | None, str | None]:
    try:
        if raw.startswith(b'{"sha256"'):
            return None, _decoded(_DIGEST_1, raw).sha256
        asked = _decoded(_REQUEST_1, raw)
    except RecordFault as error:
        message = str(error).partition(": ")[2]
        raise RecordFault("$.request" + error.place.removeprefix("$"), message) from error
    return _request_1(asked), None


def _request_1(asked: RequestBody) -> Request:
    """The request as it was recorded, which has the members that it was sent with."""
    return Request(
        subject=_subject_1(asked.subject),
        end_user=None if asked.end_user is None else _subject_1(asked.end_user),
        place=Place(**_members(asked.place)),
        destination=Destination(**_members(asked.destination)),
        **_members(asked.claims),
        **{name: getattr(asked, name) for name in PLAIN},
    )


def _members(part: Body | None) -> dict[str, Any]:
    return {} if part is None else asdict(part)


def _subject_1(subject: SubjectBody) -> Subject:
    return Subject(
        type=subject.type,
        id=subject.id,
        properties=tuple(
            Assertion(name=name, values=(value,), is_list=False)
            if isinstance(value, str)
            else Assertion(name=name, values=value, is_list=True)
            for name, value in (subject.properties or {}).items()
            if value is not None
        ),
    )


def _party_1(party: _Party1) -> RecordedParty:
    known = party.known
    cluster = known.cluster or None
    return RecordedParty(
        role=party.role,
        subject=party.subject,
        organisation=party.organisation,
        words=party.words,
        looked_at=frozenset(name for name in _Known1.__struct_fields__ if getattr(known, name) is not msgspec.UNSET),
        us_status=_set(known.us_status),
        citizenships=_set(known.citizenships),
        past_citizenships=_set(known.past_citizenships),
        permanent_residencies=_set(known.permanent_residencies),
        employment=_set(known.employment),
        incorporated=_set(known.incorporated),
        headquarters=_set(known.headquarters),
        sector=_set(known.sector),
        reseller=_set(known.reseller),
        memberships=tuple(
            RecordedMembership(consortium=one.consortium, status=one.status) for one in _set(known.memberships) or ()
        ),
        listings=tuple(
            RecordedListing(party=one.party, list=one.list, status=one.status, entry_version=one.entry_version)
            for one in _set(known.listings) or ()
        ),
        statements=_set(known.statements) or (),
        authorisations=tuple(RecordedPaper(id=one.id, state=one.state) for one in _set(known.authorisations) or ()),
        cluster=None if cluster is None else RecordedCluster(id=cluster.id, as_of=cluster.as_of),
    )


def _set(value: Shape | msgspec.UnsetType | None) -> Shape | None:
    return None if value is msgspec.UNSET else value


_READERS: Final[Mapping[int, Callable[[bytes], RecordedDecision]]] = {1: _version_1}
