"""The public keys of the issuer of tokens (JWKS, RFC 7517): fetched, kept for a while, and fetched again when a token
names a key that is not among them.

One fetch serves all who ask meanwhile, and after each there is a pause. Keys that could not be fetched again for
`LIFETIME_SECONDS` count no more: who signed a token is then not known, and nothing is allowed by it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from policy_engine.formats.request_document import MalformedRequest, parse_object

LIFETIME_SECONDS: Final = 300.0
MOST_BYTES: Final = 256 * 1024
MOST_KEYS: Final = 100
LEAST_RSA_BITS: Final = 2_048

PublicKey = RSAKey | ECKey | OKPKey


class IssuerUnavailable(Exception):
    """The keys of the issuer cannot be had, so that nobody can say who signed a token; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """When keys are fetched: again after `renew_seconds`, and never sooner than `pause_seconds` after the last time."""

    renew_seconds: float = 60.0
    pause_seconds: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """Keys by their ids, and how many sets there were before."""

    keys: Mapping[str, PublicKey]
    number: int


class IssuerKeys:
    """The keys as they were last fetched. Threads may share it."""

    def __init__(
        self,
        fetch: Callable[[], bytes],
        *,
        monotonic: Callable[[], float],
        report: Callable[[str | None], None],
        pace: Pace,
    ) -> None:
        """`fetch` gives the document, in its own time, and raises `IssuerUnavailable`. `report` is told why the keys
        cannot be had, and `None` once they can be again."""
        self._fetch = fetch
        self._monotonic = monotonic
        self._report = report
        self._pace = pace
        self._lock = threading.Lock()
        self._held: KeySet | None = None
        self._had_at = self._tried_at = -LIFETIME_SECONDS
        self._fault: str | None = None

    def wants_look(self, kid: str) -> bool:
        """Whether a look at the issuer could tell more of a key than is known here."""
        held, now = self._held, self._monotonic()
        if now - self._tried_at < self._pace.pause_seconds:
            return False
        return held is None or kid not in held.keys or now - self._had_at >= self._pace.renew_seconds

    def look(self) -> None:
        """Fetch the keys, unless that was done a moment ago. It takes as long as it takes."""
        with self._lock:
            if self._monotonic() - self._tried_at < self._pace.pause_seconds:
                return
            try:
                keys = read_keys(self._fetch())
            except IssuerUnavailable as error:
                self._told(str(error))
            else:
                self._keep(keys)
            finally:
                self._tried_at = self._monotonic()

    def current(self) -> KeySet:
        """The keys that count now. Raises `IssuerUnavailable`."""
        held = self._held
        if held is None or self._monotonic() - self._had_at >= LIFETIME_SECONDS:
            raise IssuerUnavailable(
                "the keys of the tokens' issuer cannot be fetched, so nothing is allowed by a token"
            )
        return held

    @property
    def is_reached(self) -> bool:
        """Whether the last look found keys."""
        return self._fault is None

    def _keep(self, keys: Mapping[str, PublicKey]) -> None:
        number = 0 if self._held is None else self._held.number + 1
        self._held = KeySet(keys=keys, number=number)
        self._had_at = self._monotonic()
        self._told(None)

    def _told(self, fault: str | None) -> None:
        if fault != self._fault:
            self._report(fault)
        self._fault = fault


def read_keys(document: bytes) -> Mapping[str, PublicKey]:
    """The keys for signatures in a JWKS, by their ids; others are passed over. Raises `IssuerUnavailable`."""
    try:
        given = parse_object(document).get("keys")
    except MalformedRequest as error:
        raise IssuerUnavailable(f"the key set {error.faults[0].message}") from error
    if not isinstance(given, list) or len(given) > MOST_KEYS:
        raise IssuerUnavailable(f"the key set has no list `keys` of at most {MOST_KEYS}")
    found: dict[str, PublicKey] = {}
    for one in given:
        key = _key(one)
        if key is None:
            continue
        kid, public = key
        if kid in found:
            raise IssuerUnavailable("the key set has two keys of one `kid`")
        found[kid] = public
    if not found:
        raise IssuerUnavailable("the key set has no public key for signatures that has a `kid`")
    return found


def _is_short(given: dict[str, object]) -> bool:
    return given["kty"] == "RSA" and len(str(given.get("n", ""))) * 6 < LEAST_RSA_BITS


_KINDS: Final = frozenset({"RSA", "EC", "OKP"})


def _key(given: object) -> tuple[str, PublicKey] | None:
    if not isinstance(given, dict) or given.get("kty") not in _KINDS or given.get("use", "sig") != "sig":
        return None
    kid = given.get("kid")
    if not isinstance(kid, str) or not kid or "d" in given or _is_short(given):
        return None
    try:
        key = import_key(given)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return (kid, key) if isinstance(key, RSAKey | ECKey | OKPKey) else None
