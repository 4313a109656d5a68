"""Which right each route needs, and the page that says so: `python -m tests.security.rights` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from policy_engine.service.gate.keyring import RIGHTS, ROLES
from tests.conftest import ROOT

PAGE: Final = ROOT / "docs" / "security" / "rights.md"

OPEN: Final = {
    ("GET", "/"): "what this is, and where its reference is",
    ("GET", "/docs"): "the reference, the same for everybody",
    ("GET", "/openapi.json"): "the reference, the same for everybody",
    ("GET", "/livez"): "nothing but whether the service is there",
    ("GET", "/readyz"): "nothing but whether it can decide",
    ("GET", "/.well-known/authzen-configuration"): "where the routes of the Authorization API are",
}
"""What answers without a key, and what it says."""

NEEDED: Final[dict[tuple[str, str], str]] = {
    ("POST", "/decide"): "decide",
    ("POST", "/decide/batch"): "decide",
    ("POST", "/v1/data/policy_engine/decide"): "decide",
    ("POST", "/access/v1/evaluation"): "decide",
    ("POST", "/access/v1/evaluations"): "decide",
    ("POST", "/access/v1/search/subject"): "members:read",
    ("POST", "/access/v1/search/resource"): "decide",
    ("POST", "/access/v1/search/action"): "decide",
    ("POST", "/gateways/decide"): "decide",
    ("GET", "/watch"): "watch",
    ("GET", "/metrics"): "metrics",
    ("GET", "/decisions"): "decisions:read",
    ("GET", "/decisions/export"): "decisions:read",
    ("GET", "/decisions/{decision_id}"): "decisions:read",
    ("POST", "/decisions/{decision_id}/replay"): "decisions:read",
    ("GET", "/log/checkpoint"): "decisions:read",
    ("GET", "/log/years"): "decisions:read",
    ("GET", "/log/proof/{entry_id}"): "decisions:read",
    ("GET", "/log/entries/{entry_id}"): "decisions:read",
    ("GET", "/log/{year:year}/{path:path}"): "decisions:read",
    ("GET", "/log/holds"): "decisions:read",
    ("POST", "/log/holds"): "log:hold",
    ("DELETE", "/log/holds/{hold}"): "log:hold",
    ("POST", "/log/retirements"): "log:hold",
    ("GET", "/policy"): "policy:read",
    ("GET", "/policy/books/{fingerprint}"): "policy:read",
    ("POST", "/policy/check"): "policy:read",
    ("GET", "/policy/proposals"): "policy:read",
    ("POST", "/policy/proposals"): "policy:propose",
    ("GET", "/policy/proposals/{proposal}"): "policy:read",
    ("GET", "/policy/proposals/{proposal}/reports/{report}"): "policy:read",
    ("GET", "/policy/proposals/{proposal}/report.{form}"): "policy:read",
    ("POST", "/policy/proposals/{proposal}/approve"): "policy:approve",
    ("POST", "/policy/proposals/{proposal}/withdraw"): "policy:propose",
    ("GET", "/freezes"): "policy:read",
    ("POST", "/freezes"): "freeze",
    ("DELETE", "/freezes/{freeze}"): "freeze",
    ("GET", "/reviews"): "reviews",
    ("GET", "/reviews/{case}"): "reviews",
    ("POST", "/reviews/{case}/close"): "reviews",
    ("POST", "/simulate"): "simulate",
    ("GET", "/members/changes"): "members:read",
    ("POST", "/members/changes"): "members:write",
    ("GET", "/members/changes/{change}"): "members:read",
    ("POST", "/members/changes/{change}/approve"): "members:approve",
    ("POST", "/members/changes/{change}/withdraw"): "members:write",
    ("GET", "/members/{kind}/{name}"): "members:read",
}
"""Every other route, by method and path, with the one right that opens it."""

BY_STATUS: Final[dict[tuple[str, str], str]] = {
    ("POST", "/ext_authz/{path:path}"): "decide",
    ("GET", "/forward-auth"): "decide",
}
"""Doors for gateways that read a status: any method, and the key in a header of its own."""


def page() -> str:
    """The table as Markdown."""
    routes = [
        "| route | right |",
        "|---|---|",
        *(f"| `{method} {path}` | none: it says {told} |" for (method, path), told in sorted(OPEN.items())),
        *(f"| `{method} {path}` | `{right}` |" for (method, path), right in NEEDED.items()),
        *(f"| any method `{path}` | `{right}`, in `X-Policy-Engine-Key` |" for (_, path), right in BY_STATUS.items()),
    ]
    roles = [
        "| role of a key | rights |",
        "|---|---|",
        *(f"| `{role}` | {', '.join(f'`{right}`' for right in rights)} |" for role, rights in ROLES.items()),
    ]
    unused = sorted(set(RIGHTS) - set(NEEDED.values()))
    return "\n".join(
        [
            "# Who may do what",
            "",
            "Every route needs one right, and no other right opens it. The table is made from the tests"
            " (`python -m tests.security.rights`), which try every route with every right alone:"
            f" {len(NEEDED) * len(RIGHTS):,} combinations of a route and a right, and every route without a key"
            " in force.",
            "",
            *routes,
            "",
            f"Rights that open no route by themselves: {', '.join(f'`{right}`' for right in unused)}.",
            "",
            *roles,
            "",
        ]
    )


if __name__ == "__main__":
    Path(PAGE).write_text(page(), encoding="utf-8")
