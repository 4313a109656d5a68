"""The report on a book, and the difference between two, each as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from policy_engine.analysis.book_report import PERSPECTIVES, Access, BookReport
from policy_engine.analysis.difference_report import DiffReport
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Action
from policy_engine.render.book_report_text import (
    NAMED,
    STATUS_WORDS,
    countries_in_words,
    gap_in_words,
    happenings,
)
from policy_engine.render.difference_text import SHOWN, actions_in_words, models_in_words, place_in_words
from policy_engine.render.pages import page

DIFFERENCE_WORDS: Final[Mapping[str, object]] = {"shown": SHOWN, "place_in_words": place_in_words}
"""What a template needs to tell the differences between two books."""

_PERSPECTIVES: Final[Mapping[str, str]] = {
    "citizen": "Citizens of the country, employed by an American organisation, in the United States",
    "organisation": "US citizens employed by an organisation established in the country",
    "place": "US citizens of an American organisation who ask from the country",
    "everything": "Citizens of the country, employed by an organisation established there, who ask from there",
}


@dataclass(slots=True, kw_only=True)
class _Grid:
    """Countries by status and membership, for items and actions that are answered alike."""

    tier: str
    models: tuple[str, ...]
    actions: tuple[Action, ...]
    rows: dict[tuple[str, ...], dict[tuple[str, str], Access]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)

    def add(self, one: Access) -> None:
        columns = ((status, member) for status in one.statuses for member in one.memberships)
        self.rows.setdefault(one.countries, {}).update(dict.fromkeys(columns, one))
        self.decisions.append(one.outcome.decision)

    @property
    def columns(self) -> list[tuple[str, str]]:
        return sorted({column for cells in self.rows.values() for column in cells})


def book_report_page(report: BookReport) -> str:
    """The report as a page."""
    return page(
        "book_report.html",
        title="Who may do what",
        report=report,
        perspectives=[
            (_PERSPECTIVES[name], _grids(one for one in report.access if one.perspective == name))
            for name in PERSPECTIVES
        ],
        named=NAMED,
        status_words=STATUS_WORDS,
        actions_in_words=actions_in_words,
        countries_in_words=countries_in_words,
        gap_in_words=gap_in_words,
        happenings=happenings,
        models_in_words=models_in_words,
        **DIFFERENCE_WORDS,
    )


def _grids(access: Iterable[Access]) -> Iterable[_Grid]:
    grids: dict[tuple[object, ...], _Grid] = {}
    for one in access:
        key = (one.tier, one.models, one.actions)
        grids.setdefault(key, _Grid(tier=one.tier, models=one.models, actions=one.actions)).add(one)
    return grids.values()


def diff_page(report: DiffReport) -> str:
    """The difference between two books as a page."""
    when = "over all time" if report.at is None else f"at {format_instant(report.at)}"
    return page("diff.html", title="What a new book changes", report=report, when=when, **DIFFERENCE_WORDS)
