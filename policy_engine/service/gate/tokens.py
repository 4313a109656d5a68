"""Access tokens of an issuer (RFC 9068): who signed one is known by the issuer's keys alone, by an algorithm of a list.

Whatever a token's head says of where a key could be had (`jku`, `x5u`, `jwk`, `x5c`) is not read. Everything that a
token says is checked again on every snapshot on which something is decided for it; only that its signature is right
is remembered, as long as the set of keys is the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from joserfc import jws
from joserfc.errors import JoseError

from policy_engine.formats.identifiers import identifier_fault
from policy_engine.formats.request_document import MalformedRequest, parse_object
from policy_engine.service.gate.issuer_keys import IssuerKeys, IssuerUnavailable, KeySet
from policy_engine.service.gate.keyring import InvalidToken

ALGORITHMS: Final = tuple("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split())
"""Those of which a list of allowed ones may be made: whoever can check a signature must not be able to make one."""

MOST_CHARACTERS: Final = 8 * 1024
LEEWAY_SECONDS: Final = 30
"""So far the clocks of the issuer and of this service may be apart."""

_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_MOST_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """Whose tokens are taken, whom they have to be for, and how they may be signed."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is read of a token's head."""

    algorithm: str
    kid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a good token says."""

    issuer: str
    subject: str
    members: Mapping[str, object]

    def carries(self, name: str, value: str) -> bool:
        """Whether a claim is the text, a list with it, or, for `scope`, has it among its words."""
        told = self.members.get(name)
        if name == "scope" and isinstance(told, str):
            return value in told.split(" ")
        return told == value or (isinstance(told, list) and value in told)


class Tokens:
    """Reads tokens. Threads may share it."""

    def __init__(self, rules: TokenRules, keys: IssuerKeys, clock: Callable[[], datetime]) -> None:
        self._rules = rules
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._signed: OrderedDict[bytes, tuple[int, Mapping[str, object]]] = OrderedDict()

    def wants_look(self, token: str) -> bool:
        """Whether the issuer should be asked for its keys before the token is read."""
        try:
            kid = self._head(token).kid
        except InvalidToken:
            return False
        return self._keys.wants_look(kid)

    def look(self) -> None:
        """Ask the issuer for its keys."""
        self._keys.look()

    def claims(self, token: str) -> Claims:
        """What the token says. Raises `InvalidToken` and `IssuerUnavailable`."""
        head = self._head(token)
        members = self._signed_members(token, head, self._keys.current())
        self._require_whole(members)
        self._require_time(members)
        return Claims(issuer=self._rules.issuer, subject=_subject(members), members=members)

    # --- the head and the signature -----------------------------------------------------------------------------------

    def _head(self, token: str) -> Head:
        if len(token) > MOST_CHARACTERS:
            raise InvalidToken(f"the token is longer than {MOST_CHARACTERS:,} characters")
        parts = token.split(".")
        if len(parts) != 3 or not all(map(_PART.fullmatch, parts)):
            raise InvalidToken("the token is not three parts in base64url")
        head = _members(parts[0], "head")
        algorithm, kind, kid = head.get("alg"), head.get("typ"), head.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._rules.algorithms:
            raise InvalidToken("the token is signed by an algorithm that is not allowed here")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidToken("the token is not an access token: its `typ` is not at+jwt")
        if "crit" in head or "b64" in head:
            raise InvalidToken("the token asks for an extension that is not known here (`crit`)")
        if not isinstance(kid, str) or identifier_fault(kid) is not None:
            raise InvalidToken("the token does not say by which key it is signed (`kid`)")
        return Head(algorithm=algorithm, kid=kid)

    def _signed_members(self, token: str, head: Head, keys: KeySet) -> Mapping[str, object]:
        digest = hashlib.sha256(token.encode("ascii")).digest()
        with self._lock:
            number, members = self._signed.get(digest, (-1, {}))
        if number == keys.number:
            return members
        members = self._checked(token, head, keys)
        with self._lock:
            self._signed[digest] = (keys.number, members)
            while len(self._signed) > _MOST_KEPT:
                self._signed.popitem(last=False)
        return members

    def _checked(self, token: str, head: Head, keys: KeySet) -> Mapping[str, object]:
        key = keys.keys.get(head.kid)
        if key is None:
            if not self._keys.is_reached:
                raise IssuerUnavailable(
                    "the keys of the tokens' issuer cannot be fetched, and none of those known fits"
                )
            raise InvalidToken("the token is signed by a key that the issuer does not have")
        registry = jws.JWSRegistry(algorithms=[head.algorithm], strict_check_header=False)
        try:
            jws.deserialize_compact(token, key, registry=registry)
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidToken("the signature of the token is not valid") from error
        return _members(token.split(".")[1], "body")

    # --- claims -------------------------------------------------------------------------------------------------------

    def _require_whole(self, members: Mapping[str, object]) -> None:
        if members.get("iss") != self._rules.issuer:
            raise InvalidToken("the token is of another issuer (`iss`)")
        audience = members.get("aud")
        if audience != self._rules.audience and not (isinstance(audience, list) and self._rules.audience in audience):
            raise InvalidToken("the token is for somebody else (`aud`)")

    def _require_time(self, members: Mapping[str, object]) -> None:
        now = self._clock().timestamp()
        ends, begins, made = (_seconds(members, name) for name in ("exp", "nbf", "iat"))
        if ends is None or made is None:
            raise InvalidToken("the token does not say when it was made and when it ends (`iat`, `exp`)")
        if now >= ends + LEEWAY_SECONDS:
            raise InvalidToken("the token has expired (`exp`)")
        if max(made, made if begins is None else begins) > now + LEEWAY_SECONDS:
            raise InvalidToken("the token is not valid yet (`nbf`, `iat`)")


def _subject(members: Mapping[str, object]) -> str:
    subject = members.get("sub")
    if not isinstance(subject, str) or identifier_fault(subject) is not None:
        raise InvalidToken("the token does not say whom it means (`sub`)")
    return subject


_FAR: Final = 2**53


def _seconds(members: Mapping[str, object], name: str) -> float | None:
    value = members.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_FAR < value < _FAR:
        raise InvalidToken(f"the token's `{name}` is not a number of seconds")
    return float(value)


def _members(part: str, what: str) -> Mapping[str, object]:
    try:
        return parse_object(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (MalformedRequest, binascii.Error) as error:
        raise InvalidToken(f"the {what} of the token is not a JSON object in which each member appears once") from error
