"""Callers that need no key: by a token of the issuer, or by a certificate that a trusted proxy has checked.

The gateways' profiles say who they are, of which gateway, and what they may do. One whom no profile names, or more than
one entry, may do nothing. How much each may ask, with a key or without, is counted here too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policy_engine.domain.gateways import CertificateHeader, Doubt, KnownCaller, Profile, Profiles, Rate, within
from policy_engine.domain.ports import Key
from policy_engine.domain.request import IdentifiedBy, Identity
from policy_engine.formats.client_certificate import Certificate, CertificateFault, read_certificate
from policy_engine.service.gate.keyring import (
    Bearer,
    Forbidden,
    Forwarded,
    InvalidCertificate,
    Presented,
    Unauthenticated,
)
from policy_engine.service.gate.rates import Limiter
from policy_engine.service.gate.tokens import Tokens

HEADERS: Final = frozenset(CertificateHeader)


class Callers:
    """Who asks without a key, and how much anybody may ask. An `Admittance`."""

    def __init__(
        self,
        *,
        profiles: Profiles,
        tokens: Tokens | None,
        clock: Callable[[], datetime],
        limiter: Limiter,
        rate: Rate | None,
    ) -> None:
        """`tokens`: none where no issuer is set up. `rate` is for those whose gateway's profile says nothing of it;
        `None`: as much as they like."""
        self._profiles = profiles
        self._tokens = tokens
        self._clock = clock
        self._limiter = limiter
        self._rate = rate
        self._headers = frozenset(
            one.certificate_from for one in profiles.by_gateway.values() if one.certificate_from is not None
        )

    def presented(self, bearer: Bearer) -> Presented | None:
        """What the bearer presents in the place of a key; `None` for a key, and for whoever presents nothing."""
        if bearer.token is None:
            if bearer.forwarded is None or not self._headers:
                return None
            return _ByCertificate(bearer.forwarded, self._profiles, self._clock)
        if self._tokens is None or bearer.token.startswith("pe_"):
            return None
        return _ByToken(bearer.token, self._profiles, self._tokens, self._clock)

    def look_for(self, token: str | None) -> Callable[[], None] | None:
        """What asks the issuer for its keys, where that could tell more of the token; it takes as long as it takes."""
        tokens = self._tokens
        return tokens.look if tokens is not None and token is not None and tokens.wants_look(token) else None

    def count(self, key: Key) -> None:
        """Count a request of a caller. Raises `TooMany`."""
        profile = None if key.gateway is None else self._profiles.by_gateway.get(key.gateway)
        rate = self._rate if profile is None or profile.rate is None else profile.rate
        if rate is not None:
            self._limiter.take(key.id, rate)


@dataclass(frozen=True, slots=True)
class _ByToken:
    token: str
    profiles: Profiles
    tokens: Tokens
    clock: Callable[[], datetime]

    def key(self) -> Key:
        claims = self.tokens.claims(self.token)
        fitting = [
            (profile, one)
            for profile, one in _callers(self.profiles)
            if one.claims and all(claims.carries(name, value) for name, value in one.claims)
        ]
        identity = Identity(by=IdentifiedBy.TOKEN, issuer=claims.issuer, subject=claims.subject)
        return _key(identity, fitting, self.clock())


@dataclass(frozen=True, slots=True)
class _ByCertificate:
    forwarded: Forwarded
    profiles: Profiles
    clock: Callable[[], datetime]

    def key(self) -> Key:
        at = self.clock()
        found: dict[CertificateHeader, Certificate] = {}
        fitting: list[tuple[Profile, KnownCaller]] = []
        for profile in self._trusting():
            header = profile.certificate_from
            if header is None or not any(name == header for name, _ in self.forwarded.lines):
                continue
            held = found.get(header)
            if held is None:
                held = found[header] = self._certificate(header, at)
            fitting += [(profile, one) for one in profile.callers if one.certificate in held.names]
        if not found:
            raise Unauthenticated
        names = {one.certificate for _, one in fitting if one.certificate is not None}
        issuer = next(iter(found.values())).issuer if len(found) == 1 else None
        identity = Identity(by=IdentifiedBy.CERTIFICATE, issuer=issuer, subject=min(names, default=""))
        return _key(identity, fitting, at)

    def _trusting(self) -> Iterator[Profile]:
        """The profiles that believe whoever the request came from."""
        for profile in self.profiles.by_gateway.values():
            if profile.certificate_from is None or self.forwarded.peer is None:
                continue
            try:
                trusted = within(self.forwarded.peer, profile.trusted_proxies)
            except Doubt:
                trusted = False
            if trusted:
                yield profile

    def _certificate(self, header: CertificateHeader, at: datetime) -> Certificate:
        given = [value for name, value in self.forwarded.lines if name == header]
        if len(given) > 1:
            raise InvalidCertificate(f"`{header}` must be sent once, and was sent {len(given)} times")
        try:
            return read_certificate(header, given[0], at)
        except CertificateFault as error:
            raise InvalidCertificate(str(error)) from error


def _callers(profiles: Profiles) -> Iterator[tuple[Profile, KnownCaller]]:
    for profile in profiles.by_gateway.values():
        for one in profile.callers:
            yield profile, one


def _key(identity: Identity, fitting: list[tuple[Profile, KnownCaller]], at: datetime) -> Key:
    """What the one entry that fits says. Raises `Forbidden`."""
    if len(fitting) != 1:
        what = "no entry" if not fitting else "more than one entry"
        raise Forbidden(f"{what} of `callers` in the gateways' profiles matches this {identity.by}")
    ((profile, one),) = fitting
    named = "\n".join((identity.issuer or "", identity.subject))
    return Key(
        # Told from a key's id by the colon, so that neither is taken for the other in a retry.
        id=f"{identity.by}:{hashlib.sha256(named.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}",
        name=f"a {identity.by} for {profile.gateway}",
        secret_hash="",
        rights=one.rights,
        gateway=profile.gateway,
        person=None,
        assertable=one.assertable,
        created_at=at,
        revoked_at=None,
        identity=identity,
    )
