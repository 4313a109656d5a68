"""The survey of a book, and the difference between two, each as one self-contained HTML page.

No script and nothing from elsewhere: one style sheet inside the page, for light and dark and for paper. Every text from
a book is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from policy_engine.analysis.book_report import PERSPECTIVES, Access, Flip, IdleRow, Survey
from policy_engine.analysis.book_report_text import (
    NAMED,
    STATUS_WORDS,
    countries_in_words,
    gap_in_words,
    happenings,
)
from policy_engine.analysis.difference_report import (
    SHOWN,
    DiffReport,
    actions_in_words,
    models_in_words,
    place_in_words,
)
from policy_engine.analysis.differences import Difference, Where
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Action

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2230; --paper: #fbfbf9; --line: #d9d9d2; --dim: #667;
  --allow: #cdeccf; --deny: #f6cfcb; --hold: #f7e6b4; --allow-ink: #0b4a17; --deny-ink: #7a1710; --hold-ink: #664b00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e1; --paper: #15171c; --line: #343842; --dim: #9aa;
  --allow: #17401f; --deny: #4d1b17; --hold: #4a3b0d;
  --allow-ink: #b9f0c3; --deny-ink: #ffc9c2; --hold-ink: #ffe6a1; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 84rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line); }
h3 { margin: 1.5rem 0 .25rem; } p { max-width: 60rem; }
.dim { color: var(--dim); } code { font: 0.88em ui-monospace, monospace; overflow-wrap: anywhere; }
nav a { margin-right: 1rem; color: inherit; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-size: .86rem; }
th, td { border: 1px solid var(--line); padding: .25rem .45rem; text-align: left; vertical-align: top; }
thead th { font-weight: 600; background: color-mix(in srgb, var(--line) 45%, transparent); }
.allow { background: var(--allow); color: var(--allow-ink); } .deny { background: var(--deny); color: var(--deny-ink); }
.hold { background: var(--hold); color: var(--hold-ink); }
.tag { padding: 0 .45em; border-radius: .3em; font-weight: 600; white-space: nowrap; }
.cell { min-width: 4.2rem; text-align: center; font-weight: 600; } .cell small { display: block; font-weight: 400; }
.change { border-left: 4px solid var(--line); margin: 1rem 0; padding: .1rem 0 .1rem .9rem; }
details { margin: .4rem 0; } summary { cursor: pointer; } pre { overflow-x: auto; white-space: pre-wrap; }
@media print { body { max-width: none; padding: 0; font-size: 10px; } nav { display: none; }
  .scroll { overflow: visible; }
  tr, .change { break-inside: avoid; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""

_PERSPECTIVES: Final[Mapping[str, str]] = {
    "citizen": "Citizens of the country, employed by an American organisation, in the United States",
    "organisation": "US citizens employed by an organisation established in the country",
    "place": "US citizens of an American organisation who ask from the country",
    "everything": "Citizens of the country, employed by an organisation established there, who ask from there",
}


def survey_page(survey: Survey) -> str:
    """The survey as a page."""
    at = format_instant(survey.at)
    return whole_page("Who may do what", survey_sections(survey), f"{survey.fingerprint} at {at}")


def survey_sections(survey: Survey) -> Iterator[str]:
    """The sections of the survey's page."""
    yield (
        '<nav><a href="#matrix">Matrix</a><a href="#rows">Rows</a><a href="#gaps">Gaps</a>'
        '<a href="#calendar">Calendar</a></nav>'
    )
    yield '<h2 id="matrix">Who may do what</h2>'
    yield (
        f"<p>{survey.countries} countries fall into {len(survey.classes)} classes that no rule tells apart. Requesters "
        "are ordinary but for what a row says: on no list, owned by nobody on file, with a purpose that the item "
        "permits. A star says that some other fact could still turn the answer into an allow, or an allow into "
        "something else. The rule under an answer is the decisive one.</p>"
    )
    for perspective in PERSPECTIVES:
        yield f"<h3>{_PERSPECTIVES[perspective]}</h3>"
        yield from _matrix([one for one in survey.access if one.perspective == perspective])
    yield "<h3>The classes of countries</h3>"
    yield from list_html(" ".join(one) for one in survey.classes)
    yield '<h2 id="rows">Rows that do nothing</h2>'
    for title, rows in (
        ("Rows that can never match", survey.never_match),
        ("Rows that never change an answer", survey.never_decide),
        ("Grants that are always barred", survey.always_barred),
    ):
        yield f"<h3>{title}</h3>"
        yield _idle(rows)
    yield '<h2 id="gaps">What only ACTION_NOT_PERMITTED answers</h2>'
    lines = (
        (escape(models_in_words(gap.models)), actions_in_words(gap.actions), escape(gap_in_words(gap)))
        for gap in survey.gaps
    )
    yield table_html(("models", "actions", "who"), lines)
    yield '<h2 id="calendar">What flips when</h2>'
    for flip in survey.calendar:
        yield from _flip(flip)


def _matrix(access: Sequence[Access]) -> Iterator[str]:
    """Countries by status and membership, in a table for each group of items and actions that are answered alike."""
    tables: dict[tuple[str, tuple[str, ...], tuple[Action, ...]], list[Access]] = {}
    for one in access:
        tables.setdefault((one.tier, one.models, one.actions), []).append(one)
    for (tier, models, actions), cells in tables.items():
        allowed = any(one.outcome.decision == "allow" for one in cells)
        yield f"<details{' open' if allowed and len(cells) > 1 else ''}>"
        yield f"<summary><b>{escape(models_in_words(models))}</b>"
        yield f' <span class="dim">{escape(tier)}</span> {actions_in_words(actions)} '
        yield f"{_summed(cells)}</summary>"
        yield from _grid(cells)
        yield "</details>"


def _summed(cells: Sequence[Access]) -> str:
    return " ".join(
        tag_html(one) for one in ("allow", "hold", "deny") if any(cell.outcome.decision == one for cell in cells)
    )


def _grid(cells: Sequence[Access]) -> Iterator[str]:
    columns = sorted({(status, member) for one in cells for status in one.statuses for member in one.memberships})
    rows: dict[tuple[str, ...], dict[tuple[str, str], Access]] = {}
    for one in cells:
        held = rows.setdefault(one.countries, {})
        for status in one.statuses:
            for member in one.memberships:
                held[status, member] = one
    yield '<div class="scroll"><table><thead><tr><th>countries</th>'
    for status, member in columns:
        yield f"<th>{escape(_status(status))}<br><span class='dim'>{escape(member)}</span></th>"
    yield "</tr></thead><tbody>"
    for countries, held in rows.items():
        yield f"<tr><th{_spelt_out(countries)}>{escape(countries_in_words(countries))}</th>"
        for column in columns:
            yield _cell(held.get(column))
        yield "</tr>"
    yield "</tbody></table></div>"


def _spelt_out(countries: Sequence[str]) -> str:
    """The names of more countries than are shown, and of no more than can be read."""
    return f' title="{escape(" ".join(countries))}"' if NAMED < len(countries) <= 60 else ""


def _cell(one: Access | None) -> str:
    if one is None:
        return "<td></td>"
    decision = one.outcome.decision
    star = "*" if len(one.can) > 1 and (decision == "allow" or "allow" in one.can) else ""
    title = f"{one.outcome.code}; decided by {', '.join(one.rules)}; can be {', '.join(one.can)}"
    rule = f"<small>{escape(one.outcome.rule)}</small>"
    return f'<td class="cell {decision}" title="{escape(title)}">{decision}{star}{rule}</td>'


def _status(status: str) -> str:
    return STATUS_WORDS[status]


def _idle(rows: Sequence[IdleRow]) -> str:
    if not rows:
        return "<p>None.</p>"
    return table_html(
        ("row", "effect", "why"),
        ((f"<code>{escape(one.rule)}</code>", one.effect.value, escape(one.why)) for one in rows),
    )


def _flip(flip: Flip) -> Iterator[str]:
    yield f"<h3>{format_instant(flip.at)}</h3><p>{escape('; '.join(happenings(flip)))}</p>"
    if not flip.differences:
        yield '<p class="dim">Nobody is answered otherwise.</p>'
    for one in flip.differences:
        yield from difference_html(one)


def diff_page(report: DiffReport) -> str:
    """The difference between two books as a page."""
    when = "over all time" if report.at is None else f"at {format_instant(report.at)}"
    return whole_page("What a new book changes", _diff_sections(report), f"{report.old} to {report.new}, {when}")


def _diff_sections(report: DiffReport) -> Iterator[str]:
    if not report.differences:
        yield "<p>Nobody is answered otherwise.</p>"
    for title, differences in (("Other answers", report.answers), ("Other reasons", report.reasons)):
        if differences:
            yield f"<h2>{title}</h2>"
            for one in differences:
                yield from difference_html(one)


def difference_html(one: Difference) -> Iterator[str]:
    """A class of requesters, with an example."""
    yield f'<div class="change"><p>{tag_html(one.old)} to {tag_html(one.new)} by '
    yield f"{', '.join(f'<code>{escape(rule)}</code>' for rule in one.rules)}</p>"
    yield from list_html(clause.text for clause in one.clauses)
    if one.more_clauses:
        yield "<p>… and others</p>"
    if not one.whole:
        yield f'<p class="dim">Of those only some: whom other rules answer with {one.old} as well stay out.</p>'
    yield from _places(one.where)
    yield "<details><summary>an example</summary>"
    before, after = one.witness_old, one.witness_new
    yield f"<p>At {escape(one.witness.at)}: {tag_html(before.decision)} {escape(before.rule)} {escape(before.code)} to "
    yield f"{tag_html(after.decision)} {escape(after.rule)} {escape(after.code)}</p>"
    yield f"<pre>{escape(_plain(one.witness.request))}\n{escape(_plain(one.witness.members))}</pre></details></div>"


def _places(where: Sequence[Where]) -> Iterator[str]:
    """For which actions on which models, and when: the first ones, and the others folded away."""
    shown, more = where[:SHOWN], where[SHOWN:]
    yield from (f"<p>for {escape(place_in_words(one))}</p>" for one in shown)
    if more:
        yield f"<details><summary>and {len(more)} more</summary>"
        yield from list_html(place_in_words(one) for one in more)
        yield "</details>"


def _plain(value: Mapping[str, object]) -> str:
    return "\n".join(f"{name}: {held}" for name, held in value.items())


def tag_html(decision: str) -> str:
    """An answer, coloured."""
    return f'<span class="tag {decision}">{decision}</span>'


def list_html(texts: Iterable[str]) -> Iterator[str]:
    """Texts as a list."""
    yield "<ul>"
    for text in texts:
        yield f"<li>{escape(text)}</li>"
    yield "</ul>"


def table_html(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    titles = "".join(f"<th>{title}</th>" for title in head)
    return f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def whole_page(title: str, sections: Iterable[str], subtitle: str, style: str = "") -> str:
    """A page of its own. Title and sections are HTML already, the subtitle is text; `style` comes after the common."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}{style}</style></head><body>\n<h1>{title}</h1>\n"
        f'<p class="dim"><code>{escape(subtitle)}</code></p>\n' + "\n".join(sections) + "\n</body></html>\n"
    )
