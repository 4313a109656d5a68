"""What every page of the service says of itself."""

from __future__ import annotations

from typing import Final

PAGE_HEADERS: Final = {
    # It may name people, and whatever a book or a roster says in it is to be shown and never run.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
