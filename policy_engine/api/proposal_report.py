"""What an approver reads about a proposal: `GET /policy/proposals/{id}/report.json`, `report.txt` and `report.html`.

All three are made of one value. They need `policy:read`; with `members:read` they name people, and each look is on
record before the answer leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Path as PathParameter
from starlette.responses import Response

from policy_engine.domain.ports import Key, LogUnavailable
from policy_engine.http.errors import NotFound
from policy_engine.http.pages import PAGE_HEADERS
from policy_engine.http.reference import Media, audience, described
from policy_engine.http.security import PartsOf, actor_of, needs, sees_names
from policy_engine.policy.library import BookLost
from policy_engine.render.proposal_page import proposal_page
from policy_engine.render.proposal_text import proposal_text
from policy_engine.service.administration.desk_faults import DeskConflict, NothingThere
from policy_engine.service.administration.proposal_report import ProposalReport, proposal_report
from policy_engine.shapes.reports import ProposalReportDocument

FORMS: Final[Mapping[str, tuple[str, Callable[[ProposalReport], bytes]]]] = {
    "json": ("application/json", ProposalReport.document),
    "txt": ("text/plain; charset=utf-8", lambda report: proposal_text(report).encode()),
    "html": ("text/html; charset=utf-8", lambda report: proposal_page(report).encode()),
}
"""The forms by the end of the path: media type, and how it is made."""

router = audience("policy")


@router.get(
    "/policy/proposals/{proposal}/report.{form}",
    **described(
        {
            HTTPStatus.OK: Media(
                kinds=tuple(media_type.partition(";")[0] for media_type, _ in FORMS.values()),
                meaning="What an approver reads, as data, as text or as a page.",
                document=ProposalReportDocument,
            )
        },
        problems=(NotFound, NothingThere, DeskConflict, LogUnavailable, BookLost),
    ),
)
async def show_report(
    parts: PartsOf,
    proposal: Annotated[str, PathParameter(description="The id of a proposal.")],
    form: Annotated[str, PathParameter(description=f"One of {', '.join(FORMS)}.", examples=list(FORMS))],
    key: Annotated[Key, needs("policy:read")],
) -> Response:
    """What an approver reads about a proposal. With `members:read` it names people, and the look is on record first."""
    if form not in FORMS:
        raise NotFound(f"a report is given as {', '.join(f'report.{name}' for name in FORMS)}")
    media_type, made = FORMS[form]

    def told() -> bytes:
        return made(proposal_report(parts.publisher, actor_of(key), proposal, names=sees_names(key)))

    return Response(await parts.pools.archive.run(told), media_type=media_type, headers=PAGE_HEADERS)
