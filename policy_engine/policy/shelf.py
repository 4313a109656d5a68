"""The book in force: one reference, swapped whole; a book with faults never replaces the last good one."""

from __future__ import annotations

from collections.abc import Mapping

from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book


class Shelf:
    """Holds the judge of the book in force, or nothing before the first good book."""

    def __init__(self, enforcement: Mapping[str, str] | None = None) -> None:
        self._enforcement = dict(enforcement or {})
        self._judge: Judge | None = None

    def current(self) -> Judge | None:
        """The judge of the book in force: one immutable object for a whole request."""
        return self._judge

    def accept(self, files: Mapping[str, bytes]) -> Judge:
        """Read a book beside the one in force and swap when it has no fault.

        Raises `FaultsError` with every fault; the book in force then stays.
        """
        return self.put(Judge(read_book(files, enforcement=self._enforcement)))

    def put(self, judge: Judge) -> Judge:
        """Put a book that was read elsewhere in force."""
        self._judge = judge
        return judge
