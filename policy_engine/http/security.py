"""Who is calling, and what the key behind the call may do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Depends, Security
from fastapi.security import HTTPBearer, SecurityScopes
from starlette.requests import Request

from policy_engine.app.builder import Parts
from policy_engine.domain.changes import Actor
from policy_engine.domain.ports import Key
from policy_engine.formats.faults import one_of
from policy_engine.formats.identifiers import shown
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.http.reference import SCHEME, parameters_of
from policy_engine.service.administration.disclosure import NAMES
from policy_engine.service.gate.callers import HEADERS
from policy_engine.service.gate.keyring import Admittance, Bearer, Forwarded, KeyRing
from policy_engine.service.gate.pools import Pools


def bearer_of(request: Request, right: str) -> Bearer:
    """Who the request says to be, and what it needs. What a proxy says of a certificate counts where no key or token is
    presented."""
    given = request.headers.get("authorization")
    if given is None:
        return Bearer(token=None, right=right, forwarded=_forwarded(request))
    scheme, _, token = given.partition(" ")
    return Bearer(token=token.strip() if scheme.lower() == "bearer" else None, right=right)


def _forwarded(request: Request) -> Forwarded | None:
    lines = tuple((name, value) for name, value in request.headers.items() if name in HEADERS)
    return Forwarded(lines=lines, peer=None if request.client is None else request.client.host) if lines else None


async def admitted(request: Request, ring: KeyRing, pools: Pools, right: str) -> Bearer:
    """The one who asks, whose key is in force on the snapshot that this process has and carries the right.

    A key that this process does not know may have been made by another one a moment ago: the snapshot is read again
    before it is refused, once for all who ask meanwhile, so that a flood of bad keys is none of questions to the
    database. The same holds of a token and the keys of its issuer. Raises `Unauthenticated`, `Forbidden`, `TooMany`,
    `IssuerUnavailable`, `Busy` and `MembersUnavailable`.
    """
    return await admit(bearer_of(request, right), ring, pools)


async def admit(bearer: Bearer, ring: KeyRing, pools: Pools) -> Bearer:
    """As `admitted`, of who was found to present a token. What it gives is to be asked with, and not what it took."""
    callers = ring.callers
    presented = None if callers is None else callers.presented(bearer)
    if callers is not None and presented is not None:
        bearer = replace(bearer, presented=presented)
        await _looked(callers, bearer, pools)
    elif bearer.token is not None and not bearer.is_known(ring.current()):
        await pools.looks.run(ring.refresh)
    key = bearer.key(ring.current())
    if callers is not None:
        callers.count(key)
    return bearer


LOOK_SECONDS: Final = 2.0
"""So long at most a request waits for the keys of its token's issuer; then those count that are known."""


async def _looked(callers: Admittance, bearer: Bearer, pools: Pools) -> None:
    look = callers.look_for(bearer.token)
    if look is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(pools.issuer_looks.run(look), LOOK_SECONDS)


GATEWAY_KEY: Final = "x-policy-engine-key"
"""Where a gateway presents its key at the doors at which `Authorization` carries the token of the gateway's client."""


def gateway_of(request: Request, right: str) -> Bearer:
    """As `bearer_of`, at a door for gateways: what stands under `Authorization` is the client's and is not looked at,
    and so is a certificate that the head tells of: the gateway passes on its client's head.

    Of two lines, neither counts.
    """
    return gateway_with(request.headers.getlist(GATEWAY_KEY), right)


def gateway_with(lines: Sequence[str], right: str) -> Bearer:
    """As `gateway_of`, by the lines of `X-Policy-Engine-Key` that came."""
    return Bearer(token=lines[0].strip() if len(lines) == 1 else None, right=right)


async def entered(request: Request, ring: KeyRing, pools: Pools, right: str) -> Key:
    """The key of the request, in force under the epoch that stands now, with the right.

    For what is not checked against the epoch when it is answered, as a decision is. Raises as `admitted`.
    """
    bearer = await admitted(request, ring, pools, right)
    return bearer.key(await pools.entrance.run(ring.refresh))


async def parts_of(request: Request) -> Parts:
    """The parts that the application is built over."""
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(parts_of)]

# It puts the way to present a key into the reference; the key itself is read above.
_SCHEME: Final = HTTPBearer(
    scheme_name=SCHEME, auto_error=False, description="A key that `policy-engine keys create` made: `pe_...`."
)


async def _entered_key(
    request: Request, parts: PartsOf, rights: SecurityScopes, _: Annotated[object, Depends(_SCHEME)]
) -> Key:
    (right,) = rights.scopes
    key = await entered(request, parts.ring, parts.pools, right)
    _require_query(request)
    return key


def _require_query(request: Request) -> None:
    """Raises `MalformedRequest` for parameters that the route does not have, or that are given twice: what is asked for
    by a misspelt name would look as if it had been answered."""
    known = parameters_of(request.scope["route"])
    given = [name for name, _ in request.query_params.multi_items()]
    faults = []
    for name in dict.fromkeys(given):
        if name not in known:
            remedy = one_of(name, known) if known else "there are none"
            faults.append(FieldFault(field=shown(name), message=f"is not a parameter of this route: {remedy}"))
        elif given.count(name) > 1:
            faults.append(FieldFault(field=shown(name), message="is given twice"))
    if faults:
        raise MalformedRequest(*faults)


def needs(right: str) -> Any:
    """The key that a route needs, as its dependency: one that is in force and carries the right."""
    return Security(_entered_key, scopes=[right])


def actor_of(key: Key) -> Actor:
    """Who acts with a key."""
    return Actor(key=key.id, person=key.person)


def sees_names(key: Key) -> bool:
    """Whether the key may see whom something touches."""
    return NAMES in key.rights
