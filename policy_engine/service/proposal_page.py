"""The report of a proposal as one self-contained page: no script, nothing from elsewhere, for light, dark and paper.

Every text is escaped: what a book, a roster or a person wrote is shown and never obeyed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from policy_engine.analysis.differences import Difference
from policy_engine.analysis.page import difference_html, table_html, whole_page
from policy_engine.domain.counted import many
from policy_engine.policy.book_changes import BookChanges, CellChange, RowChange
from policy_engine.policy.case_differences import CaseDifference
from policy_engine.service.impact import Outcome
from policy_engine.service.proposal_report import (
    ImpactRead,
    ProposalReport,
    ShareRead,
    StandingRead,
    by_holder,
    decisions_in_short,
    standing_in_short,
)
from policy_engine.service.proposal_text import heading

_STYLE: Final = """
body { max-width: 64rem; } h3 { font-size: 1.05rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 1rem 0; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
.short { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem 1.1rem; margin: 1rem 0; }
.short ul { margin: .3rem 0; padding-left: 1.1rem; } .short li { margin: .2rem 0; }
.warn { background: var(--hold); color: var(--hold-ink); border-radius: .4rem; padding: .5rem .9rem; margin: .6rem 0; }
.row { border: 1px solid var(--line); border-radius: .4rem; margin: .9rem 0; }
.row > header { padding: .45rem .8rem; border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: .6rem;
  align-items: baseline; } .row > header b { overflow-wrap: anywhere; }
.row > p { margin: .5rem .8rem; }
.cells { display: grid; grid-template-columns: minmax(6.5rem, 16rem) 1fr; font-size: .86rem; }
.cells > * { padding: .35rem .8rem; border-top: 1px solid var(--line); min-width: 0; overflow-wrap: anywhere; }
.cells > :nth-child(-n+2) { border-top: 0; }
del, ins { display: block; text-decoration: none; padding: .1rem .4rem; border-radius: .2rem; white-space: pre-wrap; }
del { background: var(--deny); color: var(--deny-ink); } ins { background: var(--allow); color: var(--allow-ink); }
del::before { content: "\\2212\\a0"; } ins::before { content: "+\\a0"; } ins + ins, del + ins { margin-top: .15rem; }
.added { background: var(--allow); color: var(--allow-ink); }
.removed { background: var(--deny); color: var(--deny-ink); }
.changed { background: var(--hold); color: var(--hold-ink); }
td { overflow-wrap: anywhere; } td code { white-space: nowrap; }
@media (max-width: 40rem) { body { padding: 1rem .8rem 3rem; } dl, .cells { grid-template-columns: 1fr; }
  dd { margin-bottom: .4rem; } td code { white-space: normal; }
  .cells > :nth-child(even) { border-top: 0; padding-top: 0; } }
@media print { .row, .short { break-inside: avoid; } details > summary { list-style: none; } }
"""

_OUTCOMES: Final = {
    Outcome.LOST: "allow to deny",
    Outcome.GAINED: "deny to allow",
    Outcome.UNDETERMINED: "undetermined",
    Outcome.HOLD_CHANGED: "hold changes",
    Outcome.REASON_CHANGED: "other reason",
}


def proposal_page(report: ProposalReport) -> str:
    """The report as a page."""
    return whole_page("What this proposal changes", _sections(report), report.proposal.id, _STYLE)


def _sections(report: ProposalReport) -> Iterator[str]:
    names = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in heading(report))
    yield f"<dl>{names}</dl>"
    for warning in report.warnings:
        yield f'<p class="warn">{escape(warning[:1].upper() + warning[1:])}.</p>'
    yield f'<div class="short"><b>In short</b><ul>{_items(report.in_short)}</ul></div>'
    yield (
        '<nav><a href="#written">Written otherwise</a><a href="#answers">Whose answer changes</a>'
        '<a href="#file">On file now</a><a href="#past">Recorded decisions</a><a href="#examples">Worked examples</a>'
        "</nav>"
    )
    yield '<h2 id="written">What is written otherwise</h2>'
    yield from _changes(report.changes)
    yield '<h2 id="answers">Whose answer changes</h2>'
    yield from _answers(report)
    yield '<h2 id="file">Who on file now loses or gains a model</h2>'
    yield from _standing(report.impact)
    yield '<h2 id="past">Recorded decisions, judged again</h2>'
    yield from _past(report.impact)
    yield '<h2 id="examples">Worked examples</h2>'
    yield from _cases(report)


def _items(texts: Iterable[str]) -> str:
    return "".join(f"<li>{escape(text)}</li>" for text in texts)


def _changes(changes: BookChanges | None) -> Iterator[str]:
    if changes is None:
        yield "<p>There is no book before it that could be compared.</p>"
        return
    if not (changes.rows or changes.files):
        yield "<p>No row and no value.</p>"
    for row in changes.rows:
        yield from _row(row)
    for one in changes.files:
        yield f'<section class="row"><header><b>{escape(one.file)}</b></header>{_cells(one.cells)}</section>'
    if changes.other_reasons:
        yield "<p>Entries of the changelog about other rules:</p>"
        yield f"<ul>{_items(f'{one.rule}: {one.what}; {one.why} ({one.day})' for one in changes.other_reasons)}</ul>"


def _row(row: RowChange) -> Iterator[str]:
    moved = f", was in {row.before_file}" if row.what == "changed" and row.before_file != row.after_file else ""
    file = escape(f"{row.after_file or row.before_file}{moved}")
    yield f'<section class="row"><header><span class="tag {row.what}">{row.what}</span><b>{escape(row.rule)}</b>'
    yield f'<span class="dim">{file}</span></header>'
    yield _cells(row.cells)
    for entry in row.reasons:
        yield f"<p><b>Why:</b> {escape(entry.what)}; {escape(entry.why)} <span class='dim'>({entry.day})</span></p>"
    yield "</section>"


def _cells(cells: Sequence[CellChange]) -> str:
    told = []
    for cell in cells:
        before = "" if cell.before is None else f"<del>{escape(cell.before)}</del>"
        after = "" if cell.after is None else f"<ins>{escape(cell.after)}</ins>"
        told.append(f"<div><code>{escape(cell.name)}</code></div><div>{before}{after}</div>")
    return f'<div class="cells">{"".join(told)}</div>' if told else ""


def _answers(report: ProposalReport) -> Iterator[str]:
    if report.difference is None:
        yield "<p>No difference was kept with this proposal.</p>"
        return
    answers = report.difference.answers
    if not answers:
        yield "<p>Nobody is answered otherwise.</p>"
    for title, found in (
        ("Who loses", [one for one in answers if one.old == "allow"]),
        ("Who gains", [one for one in answers if one.new == "allow"]),
        ("Who is held, or held no more", [one for one in answers if "allow" not in (one.old, one.new)]),
    ):
        if found:
            yield f"<h3>{title}: {many(len(found), 'class', 'classes')} of requesters</h3>"
            yield from _classes(found)
    reasons = report.difference.reasons
    if reasons:
        yield f"<details><summary>{many(len(reasons), 'class', 'classes')} with the same answer for another reason"
        yield "</summary>"
        yield from _classes(reasons)
        yield "</details>"


def _classes(found: Iterable[Difference]) -> Iterator[str]:
    for one in found:
        yield from difference_html(one)


def _standing(impact: ImpactRead | None) -> Iterator[str]:
    if impact is None:
        yield "<p>No impact was kept with this proposal.</p>"
        return
    standing = impact.standing_access
    yield f"<p>{escape(_sentence(standing_in_short(impact)))}</p>"
    for title, ones in (
        ("Lose", standing.lost),
        ("Denied for want of a fact", standing.undetermined),
        ("Gain", standing.gained),
    ):
        if ones:
            holders = by_holder(ones)
            yield f"<h3>{title}: {many(len(holders), 'requester')}</h3>"
            yield table_html(("who", "acting for", "models", "decided by"), map(_holder, holders.values()))
    yield from _shares(standing.shares)


def _holder(held: Sequence[StandingRead]) -> tuple[str, ...]:
    models = ", ".join(escape(one.model) for one in held)
    rules = "<br>".join(
        f"<code>{escape(rule)}</code> {escape(code)}"
        for rule, code in dict.fromkeys((one.rule, one.code) for one in held)
    )
    return escape(held[0].subject), escape(held[0].organisation or ""), models, rules


def _past(impact: ImpactRead | None) -> Iterator[str]:
    if impact is None:
        yield "<p>No impact was kept with this proposal.</p>"
        return
    yield f"<p>{escape(_sentence(decisions_in_short(impact)))}</p>"
    examples = [
        (told, " ".join(f"<code>{escape(one)}</code>" for one in impact.examples.get(outcome, ())))
        for outcome, told in _OUTCOMES.items()
        if impact.examples.get(outcome)
    ]
    if examples:
        yield table_html(("outcome", "for example"), examples)
    yield from _shares(impact.shares)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _shares(shares: Sequence[ShareRead]) -> Iterator[str]:
    changed = [one for one in shares if any(one.outcomes.get(outcome, 0) for outcome in _OUTCOMES)]
    if not changed:
        return
    rows = (
        (
            escape(one.dimension.replace("_", " ")),
            escape(one.value),
            *(f"{count:,}" if (count := one.outcomes.get(outcome, 0)) else "" for outcome in _OUTCOMES),
        )
        for one in changed
    )
    yield f"<details{' open' if len(changed) <= _OPEN else ''}><summary>by part</summary>"
    yield table_html(("of", "", *_OUTCOMES.values()), rows)
    yield "</details>"


_OPEN: Final = 12
"""So many lines stand open on the page; more are folded away."""


def _cases(report: ProposalReport) -> Iterator[str]:
    if report.cases is None:
        yield "<p>There are none before that could be compared.</p>"
        return
    if not report.cases:
        yield "<p>As before.</p>"
    for what, title in (("removed", "Removed"), ("changed", "Changed"), ("added", "Added")):
        found = report.of_cases(what)
        if found:
            yield f"<h3>{title}: {many(len(found), 'example')}</h3>"
            for one in found:
                yield from _case(one)


def _case(one: CaseDifference) -> Iterator[str]:
    yield f'<section class="row"><header><span class="tag {one.what}">{one.what}</span><b>{escape(one.id)}</b>'
    yield f"<span>{escape(one.title)}</span></header>"
    if one.cells:
        yield _cells(one.cells)
    else:
        yield f"<p>{'Expected' if one.what == 'removed' else 'Expects'} {escape(one.expects)}</p>"
    yield "</section>"
