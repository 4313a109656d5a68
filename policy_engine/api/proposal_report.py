"""What an approver reads about a proposal: `GET /policy/proposals/{id}/report.json`, `report.txt` and `report.html`.

All three are made of one value. They need `policy:read`; with `members:read` they name people, and each look is on
record before the answer leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policy_engine.api.errors import NotFound
from policy_engine.api.security import entered
from policy_engine.domain.changes import Actor
from policy_engine.service.disclosure import NAMES
from policy_engine.service.keyring import KeyRing
from policy_engine.service.pools import Pools
from policy_engine.service.proposal_page import proposal_page
from policy_engine.service.proposal_report import ProposalReport, proposal_report
from policy_engine.service.proposal_text import proposal_text
from policy_engine.service.publish import Publisher

FORMS: Final[Mapping[str, tuple[str, Callable[[ProposalReport], bytes]]]] = {
    "json": ("application/json", ProposalReport.document),
    "txt": ("text/plain; charset=utf-8", lambda report: proposal_text(report).encode()),
    "html": ("text/html; charset=utf-8", lambda report: proposal_page(report).encode()),
}
"""The forms by the end of the path: media type, and how it is made."""

_HEADERS: Final = {
    # It may name people, and whatever a book or a roster says in it is to be shown and never run.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def routes(publisher: Publisher, ring: KeyRing, pools: Pools) -> list[Route]:
    """The routes of the report."""

    async def report(request: Request) -> Response:
        key = await entered(request, ring, pools, "policy:read")
        form = FORMS.get(request.path_params["form"])
        if form is None:
            raise NotFound(f"a report is given as {', '.join(f'report.{name}' for name in FORMS)}")
        media_type, made = form
        actor, proposal = Actor(key=key.id, person=key.person), request.path_params["proposal"]

        def told() -> bytes:
            return made(proposal_report(publisher, actor, proposal, names=NAMES in key.rights))

        return Response(await pools.archive.run(told), media_type=media_type, headers=_HEADERS)

    return [Route("/policy/proposals/{proposal}/report.{form}", report, methods=["GET"])]
