"""API keys: made once, shown once, stored as a hash, and looked up in memory.

A token is `pe_<id>_<secret>`; the secret has 256 random bits, so a plain SHA-256 of it cannot be searched.

The keys in force are part of the snapshot on which a decision stands (`Ground`), under the same control epoch as the
members, the book and the freezes. Who asks is found out under that snapshot, and again whenever a decision is begun
again on another one: what a key may do never comes from another epoch than what is decided with it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from policy_engine.domain.facts import ASSERTABLE
from policy_engine.domain.narrowing import FEEDS
from policy_engine.domain.ports import Key, Keys
from policy_engine.domain.request import Caller
from policy_engine.domain.spelling import PLAIN_ID, skeleton
from policy_engine.formats.faults import one_of
from policy_engine.formats.identifiers import identifier_fault, shown

RIGHTS: Final = (
    "decide",
    "watch",
    "decisions:explain",
    "decisions:read",
    "simulate",
    "policy:read",
    "policy:propose",
    "policy:approve",
    "members:read",
    "members:write",
    "members:approve",
    "reviews",
    "freeze",
    "keys:admin",
    "log:hold",
    "metrics",
)
"""Every right that a key can carry."""

FEED_RIGHT: Final = "members:write"
"""The one right of the key of a feed."""

ROLES: Final = {
    "gateway": ("decide", "watch"),
    "desk": ("decide", "decisions:explain", "simulate"),
    "compliance": (
        "policy:read",
        "policy:propose",
        "policy:approve",
        "members:read",
        "members:write",
        "members:approve",
        "reviews",
        "freeze",
        "simulate",
    ),
    "auditor": ("decisions:read", "policy:read", "members:read", "log:hold"),
    "admin": ("keys:admin", "members:read", "members:write"),
    "monitor": ("metrics",),
}
"""The rights that usually go together, by who holds them."""


class KeyFault(ValueError):
    """The key that is asked for cannot be: an unknown right or property."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key just made; `token` is shown now and never again. `notices` are what its maker may not have meant."""

    key: Key
    token: str
    notices: tuple[str, ...] = ()


class Unauthenticated(Exception):
    """No key, or none that is in force."""


class InvalidToken(Unauthenticated):
    """A token that cannot be trusted; the text says why, and nothing of what stands in it."""


class InvalidCertificate(Unauthenticated):
    """What a proxy passed on is no certificate by which a caller is known; the text says why."""


class Forbidden(Exception):
    """The key does not carry the right."""


class HasKeys(Protocol):
    """A snapshot with the keys that are in force in it, by their ids."""

    @property
    def keys(self) -> Mapping[str, Key]: ...


class Snapshots(Protocol):
    """Where snapshots come from. `refresh` raises `MembersUnavailable`."""

    def current(self) -> HasKeys: ...

    def refresh(self) -> HasKeys: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """What a request says of a certificate: every line of the head in which one is passed on, by the name in small
    letters, and the address that the request came from."""

    lines: tuple[tuple[str, str], ...]
    peer: str | None


class Presented(Protocol):
    """What says who asks where it is no key of this service: a token of an issuer, or a certificate."""

    def key(self) -> Key:
        """Who asks, as a key would say it, now. Raises `Unauthenticated`, `Forbidden` and `IssuerUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Who presents a token (`None`: none), and asks for what needs a right.

    `profile` is the fingerprint of the gateway's profile by which a question was read, where one was. `forwarded` is
    what may stand for a key, and `presented` what was found to: neither is there for a key.
    """

    token: str | None
    right: str
    profile: str | None = None
    forwarded: Forwarded | None = None
    presented: Presented | None = None

    def is_known(self, ground: HasKeys) -> bool:
        """Whether the token names a key that is in force; nothing is said of its secret."""
        return _named(self.token) in ground.keys

    def key(self, ground: HasKeys) -> Key:
        """The key, in force on the snapshot and with the right. Raises `Unauthenticated`, `Forbidden`, and for a token
        of an issuer `IssuerUnavailable`."""
        if self.presented is not None:
            key: Key | None = self.presented.key()
        else:
            key = None if self.token is None else key_of(self.token, ground)
        if key is None:
            raise Unauthenticated
        if self.right not in key.rights:
            raise Forbidden(f"the right `{self.right}` is needed")
        return key

    def caller(self, ground: HasKeys) -> Caller:
        """The key as the one who asks. Raises `Unauthenticated` and `Forbidden`."""
        return caller_of(self.key(ground), self.profile)


class Admittance(Protocol):
    """Who is let in without a key, and how often anybody is."""

    def presented(self, bearer: Bearer) -> Presented | None:
        """What the bearer presents in the place of a key; `None` for a key, and for whoever presents nothing."""
        ...

    def look_for(self, token: str | None) -> Callable[[], None] | None:
        """What asks the issuer for its keys, where that could tell more of the token; it takes as long as it takes."""
        ...

    def count(self, key: Key) -> None:
        """Count a request of a caller. Raises `TooMany`."""
        ...


def key_of(token: str, ground: HasKeys) -> Key | None:
    """The key behind a token that is in force on the snapshot, or nothing."""
    key = ground.keys.get(_named(token))
    secret = token.split("_", 2)[2] if token.count("_") >= 2 else ""
    return key if key is not None and hmac.compare_digest(key.secret_hash, _hash(secret)) else None


def _named(token: str | None) -> str:
    parts = [] if token is None else token.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "pe" else ""


class KeysAlone:
    """The keys as they are in the database, for who decides nothing: a command."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    @dataclass(frozen=True, slots=True)
    class _Held:
        keys: Mapping[str, Key]

    def current(self) -> HasKeys:
        """Raises `MembersUnavailable`."""
        return self.refresh()

    def refresh(self) -> HasKeys:
        """Raises `MembersUnavailable`."""
        return self._Held({key.id: key for key in self._keys.all() if key.revoked_at is None})


class KeyRing:
    """Makes and revokes keys, and knows who asks."""

    def __init__(
        self,
        keys: Keys,
        snapshots: Snapshots,
        people: Callable[[], frozenset[str]],
        callers: Admittance | None = None,
    ) -> None:
        """`people` are the ids of the people on file; `callers` know who asks without a key."""
        self.callers = callers
        self._keys = keys
        self._people = people
        self._snapshots = snapshots

    def refresh(self) -> HasKeys:
        """The newest snapshot. Raises `MembersUnavailable`."""
        return self._snapshots.refresh()

    def current(self) -> HasKeys:
        """The snapshot on which decisions stand. Raises `MembersUnavailable`."""
        return self._snapshots.current()

    def create(
        self,
        *,
        name: str,
        rights: Iterable[str],
        at: datetime,
        random_hex: Callable[[int], str],
        gateway: str | None = None,
        person: str | None = None,
        assertable: Iterable[str] = (),
        feed: Iterable[str] = (),
    ) -> NewKey:
        """Make and store a key.

        The person is one on file, by the very spelling, or has an id of small letters, digits, dots, hyphens and
        underscores that looks like nobody else's. The key of a feed records rows of its kinds and carries no other
        right than that. Raises `KeyFault` and `MembersUnavailable`.
        """
        wanted, properties = frozenset(rights), frozenset(assertable)
        _refuse_unknown("right", wanted, frozenset(RIGHTS))
        _refuse_unknown("assertable property", properties, ASSERTABLE)
        kinds = frozenset(feed)
        _refuse_unknown("kind of rows for a feed", kinds, frozenset(FEEDS))
        if kinds and wanted != {FEED_RIGHT}:
            raise KeyFault(f"the key of a feed records its rows and does nothing else: its one right is `{FEED_RIGHT}`")
        known = self._keys.all()
        if person is not None:
            _refuse_person(person, self._people(), {key.person for key in known if key.person is not None})
        notices = () if gateway is None else _gateway_notices(gateway, {key.gateway for key in known if key.gateway})
        key_id, secret = random_hex(6), random_hex(32)
        key = Key(
            id=key_id,
            name=name,
            secret_hash=_hash(secret),
            rights=wanted,
            gateway=gateway,
            person=person,
            assertable=properties,
            created_at=at,
            revoked_at=None,
            feed=kinds,
        )
        self._keys.add(key)
        return NewKey(key=key, token=f"pe_{key_id}_{secret}", notices=notices)

    def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key at once; whether there was one to revoke. Raises `MembersUnavailable`."""
        return self._keys.revoke(key_id, at)

    def all(self) -> tuple[Key, ...]:
        """Every key ever made. Raises `MembersUnavailable`."""
        return self._keys.all()


def _refuse_unknown(what: str, wanted: frozenset[str], known: frozenset[str]) -> None:
    unknown = sorted(wanted - known)
    if unknown:
        raise KeyFault(f"unknown {what} `{unknown[0]}`: write one of {', '.join(sorted(known))}")


def _refuse_person(person: str, on_file: frozenset[str], with_keys: set[str]) -> None:
    """A spelling that somebody could take for another person's would let one person count as two."""
    looks = skeleton(person)
    if person not in on_file and PLAIN_ID.fullmatch(person) is None:
        near = sorted(name for name in on_file | with_keys if looks and skeleton(name) == looks)
        meant = f"did you mean `{near[0]}`? " if near else ""
        raise KeyFault(
            f"`{shown(person)}` is not a person on file: {meant}write the id as it is on file, or a new one in small"
            " letters, digits, dots, hyphens and underscores"
        )
    alike = sorted(name for name in on_file | with_keys if name != person and skeleton(name) == looks)
    if alike:
        raise KeyFault(
            f"`{shown(person)}` can be taken for `{shown(alike[0])}`, which is on file: write that, or another"
        )


def _gateway_notices(gateway: str, with_keys: set[str]) -> tuple[str, ...]:
    fault = identifier_fault(gateway)
    if fault is not None or gateway != gateway.strip():
        raise KeyFault(
            f"the gateway `{shown(gateway)}` {fault or 'begins or ends with a blank'}: write it as it is meant"
        )
    if not with_keys or gateway in with_keys:
        return ()
    return (f"no other key is of the gateway `{gateway}`: {one_of(gateway, tuple(sorted(with_keys)))}",)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def caller_of(key: Key, profile: str | None = None) -> Caller:
    """The key as the one who asks, by a gateway's profile or by itself."""
    return Caller(
        id=key.id,
        gateway=key.gateway,
        assertable=key.assertable,
        explain="decisions:explain" in key.rights,
        profile=profile,
        identity=key.identity,
    )
