"""Review cases as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from policy_engine.formats.record import answer_in
from policy_engine.render.tables import show_pairs, show_rows
from policy_engine.render.words import who, whole
from policy_engine.shapes.administration import ReviewDocument, ReviewFileDocument
from policy_engine.shapes.document import RowsDocument


def tell_cases(cases: Sequence[ReviewDocument], none: str, out: Console) -> None:
    """The cases, one to a line; `none` is said where there are none."""
    if not cases:
        out.print(none)
    show_rows(
        ("case", "status", "subject", "model", "action", "purpose", "rule", "due"),
        [
            (one.id, one.status, one.subject, one.model, one.action, one.purpose or "", one.rule, whole(one.due_at))
            for one in cases
        ],
        where=out,
        spare=("status", "action", "purpose", "rule"),
    )


def tell_case(file: ReviewFileDocument, out: Console) -> None:
    """A case with what was held, why, and what would let it go."""
    _tell(file, out)
    held = answer_in(bytes(file.decision))
    lines = [("held for", f"{held.reason.code}: {held.reason.message}")]
    lines += [
        (f"rule {finding.rule}", " ".join(finding.codes)) for finding in held.findings if finding.state == "deciding"
    ]
    if held.missing:
        lines.append(("missing facts", ", ".join(held.missing)))
    lines.append(("what lifts it", file.lifts or "nothing but facts under which the rule does not match"))
    show_pairs(lines, where=out)
    if file.clearance:
        out.print("\nrows that would clear the listings, for `reviews close --outcome release --members FILE`:")
        out.print(Text(file.clearance), end="")


def tell_closed(review: ReviewDocument, out: Console) -> None:
    """A case after somebody acted on it, and what another person has to do."""
    _tell(review, out)
    if review.status == "release_asked" and review.rows is not None:
        out.print(
            "another person has to confirm it: policy-engine reviews close"
            f" {review.id} --outcome release --rows {review.rows.digest}",
            markup=False,
        )


def tell_rows(title: str, rows: RowsDocument, out: Console) -> None:
    """Rows of the members, one to a line, and their digest."""
    out.print(Text(f"{title}:", style="bold"))
    for row in rows.rows:
        out.print(Text(f"  {row.text}"))
    out.print(Text(f"  rows {rows.digest}", style="dim"))


def _tell(review: ReviewDocument, out: Console) -> None:
    out.print(Text(f"{review.id}  {review.status}", style="bold"))
    lines = [
        ("request", f"{review.subject}: {review.action} {review.model}"),
        ("purpose", review.purpose or "none stated"),
        ("rule", review.rule),
        ("decision", review.decision_id),
        ("opened", whole(review.opened_at)),
        ("due", whole(review.due_at)),
    ]
    if review.asked_by is not None:
        lines.append(("release asked by", who(review.asked_by)))
    if review.closed_by is not None:
        lines.append(("closed by", who(review.closed_by)))
    if review.rationale:
        lines.append(("rationale", review.rationale))
    show_pairs(lines, where=out)
    if review.rows is not None:
        released = review.status == "released"
        tell_rows("these rows went on file" if released else "these rows go on file with the release", review.rows, out)
