"""Archived books, read and ready to judge: each is read once, and nothing that does not read back as itself is used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from policy_engine.domain.freezes import Freeze
from policy_engine.domain.rules import Book
from policy_engine.formats.archive import decode_archive
from policy_engine.formats.faults import FaultsError
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import book_files, read_book

KEPT: Final = 16
"""So many books and judges are kept in memory; the others are read again when they are asked for."""


K = TypeVar("K")
V = TypeVar("V")


class BookLost(Exception):
    """An archived book is not there, or does not read back as the book that was accepted. Nothing is judged by it."""


class Library:
    """Books by fingerprint and archive, with the freezes that stand beside them."""

    def __init__(self, content: Callable[[str], bytes | None]) -> None:
        """`content` gives the archive under a digest."""
        self._content = content
        self._lock = threading.Lock()
        self._books: dict[str, Book] = {}
        self._judges: dict[tuple[str, str, tuple[Freeze, ...]], Judge] = {}

    def files(self, archive: str) -> dict[str, bytes]:
        """The archived files by name. Raises `BookLost`."""
        data = self._content(archive)
        if data is None:
            raise BookLost(f"the archive `{archive}` is not there")
        try:
            return decode_archive(data)
        except ValueError as error:
            raise BookLost(f"the archive `{archive}` cannot be read: {error}") from error

    def book(self, fingerprint: str, archive: str) -> Book:
        """The book. Raises `BookLost`."""
        book = self._find(self._books, archive)
        if book is None:
            # Outside the lock: who needs a book that is read already never waits while another one is read.
            try:
                book = read_book(book_files(self.files(archive)), archived=True)
            except FaultsError as error:
                raise BookLost(f"book `{fingerprint}` has faults in this release: {error.faults[0]}") from error
            self._keep(self._books, archive, book)
        if book.fingerprint != fingerprint:
            raise BookLost(f"book `{fingerprint}` reads as `{book.fingerprint}` in this release")
        return book

    def judge(self, fingerprint: str, archive: str, freezes: tuple[Freeze, ...] = ()) -> Judge:
        """The judge of the book, with the freezes as bars beside its rows. Raises `BookLost`."""
        judge = self._find(self._judges, (fingerprint, archive, freezes))
        if judge is None:
            judge = frozen(Judge(self.book(fingerprint, archive)), freezes)
            self._keep(self._judges, (fingerprint, archive, freezes), judge)
        return judge

    def _find(self, held: dict[K, V], key: K) -> V | None:
        with self._lock:
            found = held.pop(key, None)
            if found is not None:
                held[key] = found
            return found

    def _keep(self, held: dict[K, V], key: K, value: V) -> None:
        """The one for which nobody has asked for longest makes room."""
        with self._lock:
            held.pop(key, None)
            while len(held) >= KEPT:
                held.pop(next(iter(held)))
            held[key] = value


def frozen(judge: Judge, freezes: tuple[Freeze, ...]) -> Judge:
    """The judge with the freezes as bars beside its book's rows, under the book's own fingerprint."""
    if not freezes:
        return judge
    return Judge(replace(judge.book, rows=(*judge.book.rows, *(freeze.row() for freeze in freezes))))
