"""How the keys of the tokens' issuer are had: over https, or from a file."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

from policy_engine.service.gate.issuer_keys import MOST_BYTES, IssuerUnavailable, Pace

ANSWER_SECONDS: Final = 3.0
"""How long the issuer may be silent, and how long its whole answer may take."""

_AT_ONCE: Final = 16 * 1024

FILE_PACE: Final = Pace(renew_seconds=1.0, pause_seconds=1.0)
"""A file costs nothing to read again."""


def fetcher(where: str) -> tuple[Callable[[], bytes], Pace]:
    """What reads the keys at an https address or in a file, and how often."""
    if where.startswith("https://"):
        return (lambda: _fetched(where)), Pace()
    return (lambda: _read(Path(where))), FILE_PACE


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _whole(file.read(MOST_BYTES + 1))
    except OSError as error:
        raise IssuerUnavailable(f"the file of the keys cannot be read: {_reason(error)}") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another address than that of the settings gives no keys."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _fetched(address: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirect)
    asked = urllib.request.Request(address, headers={"Accept": "application/jwk-set+json, application/json"})  # noqa: S310  https, as the settings hold
    ends = monotonic() + ANSWER_SECONDS
    try:
        with opener.open(asked, timeout=ANSWER_SECONDS) as response:
            chunks: list[bytes] = []
            while chunk := response.read1(_AT_ONCE):
                chunks.append(chunk)
                if monotonic() > ends:
                    raise IssuerUnavailable("the issuer's answer takes too long")
                if sum(map(len, chunks)) > MOST_BYTES:
                    break
            return _whole(b"".join(chunks))
    except urllib.error.HTTPError as error:
        raise IssuerUnavailable(f"the issuer answered {error.code} when it was asked for its keys") from error
    except (OSError, http.client.HTTPException) as error:
        raise IssuerUnavailable(f"the issuer cannot be asked for its keys: {_reason(error)}") from error


def _whole(document: bytes) -> bytes:
    if len(document) > MOST_BYTES:
        raise IssuerUnavailable(f"the key set is longer than {MOST_BYTES:,} bytes")
    return document


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    told = cause.strerror if isinstance(cause, OSError) else None
    return str(told or type(cause).__name__).lower()
