"""API keys: made once, shown once, stored as a hash, and looked up in memory.

A token is `pe_<id>_<secret>`; the secret has 256 random bits, so a plain SHA-256 of it cannot be searched. The ring is
read again whenever the control epoch moves, and a revocation moves it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_engine.domain.facts import ASSERTABLE
from policy_engine.domain.ports import Key, Keys, Members
from policy_engine.domain.request import Caller

RIGHTS: Final = (
    "decide",
    "decisions:explain",
    "decisions:read",
    "simulate",
    "policy:read",
    "policy:propose",
    "policy:approve",
    "members:read",
    "members:write",
    "reviews",
    "freeze",
    "keys:admin",
    "log:hold",
)
"""Every right that a key can carry."""

ROLES: Final = {
    "gateway": ("decide",),
    "desk": ("decide", "decisions:explain", "simulate"),
    "compliance": ("policy:read", "policy:propose", "policy:approve", "members:read", "reviews", "freeze", "simulate"),
    "auditor": ("decisions:read", "policy:read", "members:read", "log:hold"),
    "admin": ("keys:admin", "members:read", "members:write"),
}
"""The rights that usually go together, by who holds them."""


class KeyFault(ValueError):
    """The key that is asked for cannot be: an unknown right or property."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key just made; `token` is shown now and never again."""

    key: Key
    token: str


class KeyRing:
    """The keys in force."""

    def __init__(self, keys: Keys, members: Members) -> None:
        self._keys = keys
        self._members = members
        self._epoch: int | None = None
        self._by_id: dict[str, Key] = {}

    def refresh(self) -> None:
        """Read the keys again if the control epoch has moved. Raises `MembersUnavailable`."""
        epoch = self._members.control().epoch
        if epoch != self._epoch:
            self._by_id = {key.id: key for key in self._keys.all() if key.revoked_at is None}
            self._epoch = epoch

    def in_force(self, key_id: str) -> bool:
        """Whether a key is in force under the epoch that stands now. Raises `MembersUnavailable`."""
        self.refresh()
        return key_id in self._by_id

    def authenticate(self, token: str) -> Key | None:
        """The key in force behind a token, or nothing."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._by_id.get(key_id)
        if prefix != "pe" or key is None or not hmac.compare_digest(key.secret_hash, _hash(secret)):
            return None
        return key

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
    ) -> NewKey:
        """Make and store a key. Raises `KeyFault` and `MembersUnavailable`."""
        wanted, properties = frozenset(rights), frozenset(assertable)
        _refuse_unknown("right", wanted, frozenset(RIGHTS))
        _refuse_unknown("assertable property", properties, ASSERTABLE)
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
        )
        self._keys.add(key)
        self._by_id[key_id] = key
        return NewKey(key=key, token=f"pe_{key_id}_{secret}")

    def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key at once; whether there was one to revoke. Raises `MembersUnavailable`."""
        self._by_id.pop(key_id, None)
        return self._keys.revoke(key_id, at)

    def all(self) -> tuple[Key, ...]:
        """Every key ever made. Raises `MembersUnavailable`."""
        return self._keys.all()


def _refuse_unknown(what: str, wanted: frozenset[str], known: frozenset[str]) -> None:
    unknown = sorted(wanted - known)
    if unknown:
        raise KeyFault(f"`{unknown[0]}` is no {what}; known are {', '.join(sorted(known))}")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def caller_of(key: Key) -> Caller:
    """The key as the one who asks."""
    return Caller(id=key.id, gateway=key.gateway, assertable=key.assertable, explain="decisions:explain" in key.rights)
