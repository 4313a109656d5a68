"""Who is calling, and what the key behind the call may do."""

from __future__ import annotations

from starlette.requests import Request

from policy_engine.api.errors import Forbidden, Unauthenticated
from policy_engine.domain.ports import Key
from policy_engine.service.keyring import KeyRing


def authenticated(request: Request, ring: KeyRing, right: str) -> Key:
    """The key of the request, which carries the right. Raises `Unauthenticated` and `Forbidden`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    key = ring.authenticate(token.strip()) if scheme.lower() == "bearer" else None
    if key is None:
        raise Unauthenticated
    if right not in key.rights:
        raise Forbidden(f"the right `{right}` is needed")
    return key
