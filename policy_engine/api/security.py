"""Who is calling, and what the key behind the call may do."""

from __future__ import annotations

from starlette.requests import Request

from policy_engine.domain.ports import Key
from policy_engine.service.keyring import Bearer, KeyRing
from policy_engine.service.pools import Pools


def bearer_of(request: Request, right: str) -> Bearer:
    """Who the request says to be, and what it needs."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return Bearer(token=token.strip() if scheme.lower() == "bearer" else None, right=right)


async def admitted(request: Request, ring: KeyRing, pools: Pools, right: str) -> Bearer:
    """The one who asks, whose key is in force on the snapshot that this process has and carries the right.

    A key that this process does not know may have been made by another one a moment ago: the snapshot is read again
    before it is refused, once for all who ask meanwhile, so that a flood of bad keys is none of questions to the
    database. Raises `Unauthenticated`, `Forbidden`, `Busy` and `MembersUnavailable`.
    """
    bearer = bearer_of(request, right)
    if bearer.token is not None and not bearer.is_known(ring.current()):
        await pools.looks.run(ring.refresh)
    bearer.key(ring.current())
    return bearer


async def entered(request: Request, ring: KeyRing, pools: Pools, right: str) -> Key:
    """The key of the request, in force under the epoch that stands now, with the right.

    For what is not checked against the epoch when it is answered, as a decision is. Raises as `admitted`.
    """
    bearer = await admitted(request, ring, pools, right)
    return bearer.key(await pools.entrance.run(ring.refresh))
