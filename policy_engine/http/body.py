"""Reading a request body no further than a limit."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from policy_engine.http.errors import BodyTooLarge

DECIDE_LIMIT: Final = 256 * 1024
BATCH_LIMIT: Final = 1024 * 1024


async def read_body(request: Request, limit: int) -> bytes:
    """The body, of at most `limit` bytes. Raises `BodyTooLarge` as soon as it is known to be longer."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise BodyTooLarge(f"at most {limit} bytes are read")
    chunks: list[bytes] = []
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > limit:
            raise BodyTooLarge(f"at most {limit} bytes are read")
        chunks.append(chunk)
    return b"".join(chunks)
