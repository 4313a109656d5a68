"""What was asked: who wants to do what with which model, why and from where."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from policy_engine.domain.spelling import one_spelling


class SubjectType(StrEnum):
    """Under which kind of record a subject is on file."""

    PERSON = "person"
    ORGANISATION = "organisation"
    ACCOUNT = "account"
    SERVICE = "service"


class Action(StrEnum):
    """What may be asked for; `licence_determination` asks what the export rules say and gives no access."""

    INFER = "infer"
    LIST = "list"
    EMBED = "embed"
    FINE_TUNE = "fine_tune"
    DISTILL = "distill"
    DOWNLOAD_WEIGHTS = "download_weights"
    REPLICATE_WEIGHTS = "replicate_weights"
    RELEASE = "release"
    ADMINISTER = "administer"
    LICENCE_DETERMINATION = "licence_determination"

    @classmethod
    def _missing_(cls, value: object) -> Action | None:
        """`license` is understood too."""
        told = one_spelling(value) if isinstance(value, str) else None
        return next((one for one in cls if one.value == told), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A property that the caller states of a subject: one text, or several for a property that is a list."""

    name: str
    values: tuple[str, ...]
    is_list: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A requester or an end user, by type and id; the membership database says the rest."""

    type: SubjectType
    id: str
    properties: tuple[Assertion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Evidence of where the requester is. Countries are ISO 3166-1 alpha-2, subdivisions ISO 3166-2.

    Codes have the shape of such codes and may name nothing; `ip_country` may be empty: an address that has no country.
    """

    country: str | None = None
    subdivision: str | None = None
    postcode: str | None = None
    ip: str | None = None
    ip_country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where weights or technology would go, and the organisation that would host them."""

    country: str | None = None
    subdivision: str | None = None
    postcode: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question. Every `None` is a fact that was not stated, never a no."""

    subject: Subject
    model: str
    action: Action
    acting_for: str | None = None
    purpose: str | None = None
    place: Place = Place()
    end_user: Subject | None = None
    destination: Destination = Destination()
    exception: str | None = None
    fallbacks: tuple[str, ...] | None = None
    min_revision: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A request as a door has read it, with the SHA-256 in hex of what was sent, by which a retry is known.

    `called` are other names by which a gateway calls the request's model: aliases of its profile.
    """

    request: Request
    digest: str
    called: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One item of a batch: the request, or `fault`, which says why there is none.

    `digest` is that of the item, under which it is recorded where it cannot be judged.
    """

    digest: str
    submitted: Submitted | None = None
    fault: str = ""


class Semantic(StrEnum):
    """Which requests of a batch are judged: all, or those up to the first deny or the first allow."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"

    def stops_after(self, *, allowed: bool) -> bool:
        """Whether no more are judged after an answer."""
        return self is (Semantic.PERMIT_ON_FIRST_PERMIT if allowed else Semantic.DENY_ON_FIRST_DENY)


class IdentifiedBy(StrEnum):
    """What said who asks, where it was no key."""

    TOKEN = "token"  # noqa: S105  a word, and no secret
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks, as another than this service names it: the issuer of a token or of a certificate (`None`: not told),
    and whom it means."""

    by: IdentifiedBy
    issuer: str | None
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks on the wire: the key, the gateway that it belongs to, and the properties it may assert.

    `explain`: may see explanations. What could change a deny is looked for on behalf of such a caller alone. `profile`:
    the fingerprint of the gateways' profiles by which the question was read out of what a gateway passed on; `None` for
    a question that was asked as such. `identity`: who it is by a token or a certificate; `None` for a key.
    """

    id: str
    gateway: str | None = None
    assertable: frozenset[str] = frozenset()
    explain: bool = False
    profile: str | None = None
    identity: Identity | None = None
