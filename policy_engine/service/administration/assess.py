"""Everything that is found out about a proposed book before anybody may approve it: check, cases, diff, impact.

The book is read and its worked examples are run, and judged again by stock pycasbin; a rule that changed its meaning
needs a line in the changelog. The exact difference is taken from the instant on at which the book is to be in force.
The recorded decisions and everybody on file are judged under both books. Freezes are left out on both sides, or a
freeze would hide what the book changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from policy_engine.analysis.difference_report import diff_report
from policy_engine.decision.case_runner import CaseResult, run_cases
from policy_engine.decision.second_judge import disagreements
from policy_engine.domain.counted import many
from policy_engine.domain.ports import DeskLog
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import Book
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.policy.case_changes import CASES_REPORT, CaseChanges, case_changes, cases_report
from policy_engine.policy.cases import CASES, read_case_files, unread_names
from policy_engine.policy.changelog import CHANGELOG, compare, read_changelog
from policy_engine.policy.idle import never_matching
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import Library
from policy_engine.policy.names import names_read
from policy_engine.policy.reader import BookReader
from policy_engine.service.administration.disclosure import IMPACT, ROUNDED, rounded
from policy_engine.service.administration.impact import ImpactOutcome, as_json, impact
from policy_engine.service.administration.publish import Assessment, Candidate, ReportContent
from policy_engine.service.gate.history import RecordedPast
from policy_engine.shapes.reports import CheckReport

NO_CASES: Final = Fault(
    source=CASES,
    line=1,
    column=1,
    message="there is no worked example, so nothing shows that the book does what it is meant to",
    remedy="keep the case files in the folder `cases` of the book",
)
_encoder: Final = msgspec.json.Encoder(order="sorted")


def assess(candidate: Candidate, *, library: Library, desk_log: DeskLog, roster: Roster) -> Assessment:
    """What there is to say about the candidate. Raises `BookLost` and `LogUnavailable`."""
    checked = check_and_try(candidate.files, archived=candidate.rollback)
    book = checked.book
    if book is None or checked.faults or checked.failed:
        fingerprint = "none" if book is None else book.fingerprint
        return Assessment(fingerprint=fingerprint, faults=checked.faults, failed_cases=checked.failed)
    if candidate.base is None:
        return Assessment(fingerprint=book.fingerprint, reports=(_check(book), _cases(checked.results, None)))
    before = library.files(candidate.base.archive)
    reports = [_check(book), _cases(checked.results, changes_of_cases(before, checked.results))]
    old = library.book(candidate.base.fingerprint, candidate.base.archive)
    if not candidate.rollback:
        faults = unsaid(old, before, book, candidate.files)
        if faults:
            return Assessment(fingerprint=book.fingerprint, faults=faults)
    reports.append(_diff(old, book, candidate))
    records = desk_log.decisions_since(candidate.since)
    reports.append(_impact(old, book, candidate, records, RecordedPast(desk_log, library), roster))
    return Assessment(fingerprint=book.fingerprint, reports=tuple(reports))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBook:
    """A book as read and tried: none where it has faults; what failed of its worked examples."""

    book: Book | None
    faults: tuple[Fault, ...] = ()
    results: tuple[CaseResult, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        """The ids of the cases that do not hold."""
        return tuple(result.case.id for result in self.results if not result.holds)


def check_and_try(files: Mapping[str, bytes], *, archived: bool = False) -> CheckedBook:
    """Read the files of a folder and run its worked examples; a book without any is at fault, and so is one of which
    pycasbin judges an example otherwise than the engine.

    One that is `archived` was accepted once: what a book has had to declare since then does not keep it away.
    """
    # What is neither of the book nor a case stays among the parts, so that it is refused and not passed over.
    parts = {name: data for name, data in files.items() if not name.startswith(CASES)}
    try:
        reader = BookReader(parts, archived=archived)
        book = reader.book()
        cases = read_case_files({name: data for name, data in files.items() if name.startswith(CASES)})
    except FaultsError as error:
        return CheckedBook(book=None, faults=tuple(error.faults))
    if not cases:
        return CheckedBook(book=book, faults=(NO_CASES,))
    unread = unread_names(cases, names_read(book))
    if unread:
        return CheckedBook(book=None, faults=unread)

    results = tuple(run_cases(cases, reader.book_for))
    # Of a case that does not hold there is another thing to mend first.
    differing = disagreements(results) if all(result.holds for result in results) else ()
    return CheckedBook(book=book, faults=differing, results=results)


def unsaid(old: Book, before: Mapping[str, bytes], new: Book, files: Mapping[str, bytes]) -> tuple[Fault, ...]:
    """A fault for every rule that changed its meaning, or went, without a new line in the changelog."""
    faults: list[Fault] = []
    entries = read_changelog(files.get(CHANGELOG), faults)
    return (*faults, *compare(old, new, read_changelog(before.get(CHANGELOG), []), entries).faults)


def _check(book: Book) -> ReportContent:
    regimes = sorted({row.regime for row in book.rows})
    idle = [row.id for row in never_matching(book)]
    content = CheckReport(
        fingerprint=book.fingerprint,
        rows=len(book.rows),
        regimes=tuple(regimes),
        faults=(),
        never_match=tuple(idle),
    )
    warned = f"; bars that can never match: {', '.join(idle)}" if idle else ""
    return ReportContent(
        name="check",
        content=_encoder.encode(content),
        summary=f"{len(book.rows)} rows of {len(regimes)} regimes, no fault{warned}",
    )


def changes_of_cases(before: Mapping[str, bytes], results: Iterable[CaseResult]) -> CaseChanges | None:
    """What became of the worked examples of the files before; `None` where those cannot be read any more."""
    try:
        old = read_case_files({name: data for name, data in before.items() if name.startswith(CASES)})
    except FaultsError:
        return None
    return case_changes(old, (result.case for result in results))


def _cases(results: tuple[CaseResult, ...], changes: CaseChanges | None) -> ReportContent:
    told = "there are none that they could be compared with" if changes is None else changes.text
    return ReportContent(
        name=CASES_REPORT,
        content=cases_report((result.case for result in results), changes),
        summary=f"{len(results)} worked examples, all hold; {told}",
    )


def _diff(old: Book, new: Book, candidate: Candidate) -> ReportContent:
    report = diff_report(old, new, since=candidate.effective)
    summary = (
        f"{many(len(report.answers), 'class of requesters', 'classes of requesters')} with another answer,"
        f" {len(report.reasons)} with the same answer for another reason"
    )
    return ReportContent(name="diff", content=report.document(), summary=summary)


def _impact(
    old: Book, new: Book, candidate: Candidate, records: Iterable[bytes], past: RecordedPast, roster: Roster
) -> ReportContent:
    report = impact(Judge(new), Judge(old), records, past.roster, effective=candidate.effective, roster_now=roster)
    counts = {outcome: rounded(report.outcomes[outcome]) for outcome in ImpactOutcome}
    standing = report.standing_access
    lost, gained = rounded(len(standing.lost or ())), rounded(len(standing.gained or ()))
    # The summary stands in the log, which whoever may read decisions is shown: it has what `counts_alone` has.
    summary = (
        f"{ROUNDED}: of {rounded(report.decisions)} recorded decisions {counts[ImpactOutcome.LOST]} allow to deny,"
        f" {counts[ImpactOutcome.GAINED]} deny to allow, {counts[ImpactOutcome.UNDETERMINED]} undetermined;"
        f" on file now {lost} lose and {gained} gain a model"
    )
    return ReportContent(name=IMPACT, content=as_json(report), summary=summary)
