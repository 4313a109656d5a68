"""The rule book of a watched folder: for a team of one, who edits in place and publishes by saving.

Each look reads the whole folder. What reads the same twice in a row, so that nobody is in the middle of writing it, is
checked and tried like a proposal, beside the book in force; only a book without a fault, whose worked examples hold and
whose changes of meaning are told, is put in force, through the same log and archive as an approved one. A file that was
merely cut off at its end is not taken either, since a writer may have stopped there. Anything else
leaves the last good book in force and raises an alarm that stays until the folder is good again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from policy_engine.domain.ports import LogUnavailable, MembersUnavailable
from policy_engine.formats.archive import encode_archive
from policy_engine.formats.change import digest_of
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.policy.case_changes import cases_report, kept_changes
from policy_engine.policy.library import BookLost, Library
from policy_engine.service.administration.assess import changes_of_cases, check_and_try, unsaid
from policy_engine.service.administration.desk import Administration
from policy_engine.service.administration.publish import put_watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Why the folder is not in force: faults, failed cases, or a database that did not answer."""

    faults: tuple[Fault, ...] = ()
    failed_cases: tuple[str, ...] = ()
    unavailable: str = ""

    @property
    def text(self) -> str:
        """In a sentence; it names no fact about a person."""
        if self.faults:
            more = f" and {len(self.faults) - 1} more" if len(self.faults) > 1 else ""
            why = f"{self.faults[0]}{more}"
        elif self.failed_cases:
            why = f"worked examples fail: {', '.join(self.failed_cases[:10])}"
        else:
            why = self.unavailable
        return f"the watched folder is refused, and the last good book stays in force: {why}"


class Watcher:
    """Looks at a folder; whoever holds it calls `look` again and again, from one thread."""

    def __init__(
        self,
        *,
        read: Callable[[], Mapping[str, bytes]],
        desk: Administration,
        library: Library,
        report: Callable[[Alarm | None], None],
        report_lost: Callable[[str], None],
    ) -> None:
        """`read` gives the files of the folder or raises `FaultsError`; `report` is told of every new alarm, and with
        `None` when the last one is over; `report_lost` of worked examples that went or changed with a book that was
        put in force, in a clause."""
        self._read = read
        self._desk = desk
        self._library = library
        self._report = report
        self._report_lost = report_lost
        self._seen: str | None = None
        self._refused: str | None = None
        self.alarm: Alarm | None = None

    def look(self) -> None:
        """Look once. Nothing but a programming error is raised."""
        try:
            files = self._read()
            digest = _digest(files)
        except FaultsError as error:
            self._seen = self._refused = None
            self._raise(Alarm(faults=tuple(error.faults)))
            return
        except OSError as error:
            self._seen = self._refused = None
            self._raise(Alarm(unavailable=f"the folder cannot be read: {(error.strerror or 'unknown reason').lower()}"))
            return
        settled, self._seen = digest == self._seen, digest
        if not settled or digest == self._refused:
            return
        try:
            alarm = self._take(files)
        except FaultsError as error:
            alarm = Alarm(faults=tuple(error.faults))
        except (LogUnavailable, MembersUnavailable, BookLost) as error:
            self._raise(Alarm(unavailable=str(error)))
            return
        self._refused = digest if alarm is not None else None
        self._raise(alarm)

    def _take(self, files: Mapping[str, bytes]) -> Alarm | None:
        desk = self._desk.view.refresh().desk
        held = desk.book_at(desk.moment(self._desk.clock()))
        if held is not None and held.archive == digest_of(encode_archive(files)):
            return None
        checked = check_and_try(files)
        if checked.book is None or checked.faults:
            return Alarm(faults=checked.faults)
        if checked.failed:
            return Alarm(failed_cases=checked.failed)
        if held is not None:
            old = self._library.book(held.fingerprint, held.archive)
            before = self._library.files(held.archive)
            faults = (*unsaid(old, before, checked.book, files), *_cut_short(before, files))
            if faults:
                return Alarm(faults=faults)
            report = cases_report((one.case for one in checked.results), changes_of_cases(before, checked.results))
            lost = kept_changes(report, follows=True).lost
            if lost:
                # Saving is all that a team of one does: there is nobody to ask, so that the record and the log say it.
                put_watched(self._desk, files, checked.book.fingerprint, cases=report)
                self._report_lost(lost)
                return None
        put_watched(self._desk, files, checked.book.fingerprint)
        return None

    def _raise(self, alarm: Alarm | None) -> None:
        if alarm != self.alarm:
            self.alarm = alarm
            self._report(alarm)


def _cut_short(before: Mapping[str, bytes], files: Mapping[str, bytes]) -> tuple[Fault, ...]:
    """A file that is the beginning of what it was may be one of which the rest was not written."""
    faults = []
    for name, data in files.items():
        held = before.get(name, b"").rstrip()
        if len(data.rstrip()) < len(held) and held.startswith(data.rstrip()):
            message = "the file is shorter than before, as if it had not been written completely"
            remedy = "when that is meant, propose the book with `policy-engine policy propose`"
            faults.append(Fault(source=name, line=data.count(b"\n") + 1, column=1, message=message, remedy=remedy))
    return tuple(faults)


def _digest(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        for part in (name.encode("utf-8", "surrogatepass"), data):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
