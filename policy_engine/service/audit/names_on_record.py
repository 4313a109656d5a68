"""Which names a search may ask for: those of a decision on record, and those of any book, key or freeze there ever was.

A name that nothing ever had finds nothing, which looks as if nobody had been allowed or denied. So it is refused with
the name that was meant. Names of people, organisations and authorisations are not among them: whether one is on file is
no business of who may only read decisions.

What cannot be known is let pass: while the index does not reach to the end of the log, where a book cannot be read,
and beyond the newest `MOST_BOOKS` books.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from policy_engine.domain.changes import KeyCreated
from policy_engine.domain.desk import Desk, desk_after
from policy_engine.domain.ports import DeskLog
from policy_engine.domain.rules import FAULT_RULE, NO_BOOK_RULE, NO_GRANT_RULE, Book
from policy_engine.formats.faults import near_miss, quoted
from policy_engine.formats.request_document import FieldFault, MalformedRequest
from policy_engine.policy.library import BookLost, Library
from policy_engine.store.decision_index import Filters
from policy_engine.store.index_search import DecisionIndex

MOST_BOOKS: Final = 32
"""So many books are read for a name that nothing else has, the newest first; what was read is remembered."""

_ASKED: Final = ("model", "rule", "deciding_rule", "gateway")
_ENGINE: Final = frozenset({NO_GRANT_RULE, FAULT_RULE, NO_BOOK_RULE})
_KINDS: Final = (
    "book.founded",
    "book.watched",
    "book.proposed",
    "book.approved",
    "freeze.declared",
    "freeze.lift_asked",
    "freeze.lifted",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """What one book has: its rules, the ids of its catalogue, and what gateways call these."""

    rules: frozenset[str]
    models: frozenset[str]
    aliases: frozenset[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """All names, and whether these are all there were."""

    rules: frozenset[str]
    models: frozenset[str]
    aliases: frozenset[tuple[str, str, str]]
    gateways: frozenset[str]
    whole: bool


class NamesOnRecord:
    """Knows the names; safe to be asked by several threads. Methods raise `LogUnavailable`."""

    def __init__(self, index: DecisionIndex, desk_log: DeskLog) -> None:
        self._index = index
        self._desk_log = desk_log
        self._lock = threading.Lock()
        self._read: dict[str, _Names] = {}

    def require(self, filters: Filters) -> None:
        """Raises `MalformedRequest` for every model, rule and gateway that nothing ever had."""
        asked = [(field, text) for field in _ASKED if (text := getattr(filters, field)) is not None]
        unmet = [(field, text) for field, text in asked if not self._index.has(field, text)]
        if not unmet or self._index.size() < self._index.log_size():
            return
        known = self._known()
        faults = [fault for field, text in unmet if (fault := _fault(field, text, known)) is not None]
        if faults:
            raise MalformedRequest(*faults)

    def _known(self) -> _Known:
        desk = desk_after(self._desk_log.changes(_KINDS))
        books, whole = self._books(desk)
        aliases = frozenset[tuple[str, str, str]]().union(*(book.aliases for book in books))
        keys = (change.event for change in self._desk_log.changes(("key.created",)))
        frozen = (one for state in desk.freezes.values() for one in state.freeze.scope.gateways)
        created = (key.gateway for key in keys if isinstance(key, KeyCreated) and key.gateway is not None)
        return _Known(
            rules=_ENGINE.union(desk.freezes, *(book.rules for book in books)),
            models=frozenset[str]().union(*(book.models for book in books)),
            aliases=aliases,
            gateways=frozenset({*created, *frozen, *(gateway for gateway, _, _ in aliases)}),
            whole=whole,
        )

    def _books(self, desk: Desk) -> tuple[tuple[_Names, ...], bool]:
        """The names of the books that were ever in force, as far as they are read, and whether that is all of them."""
        archives = list(dict.fromkeys((book.archive, book.fingerprint) for book in reversed(desk.books)))
        whole = len(archives) <= MOST_BOOKS
        found = []
        library = Library(self._desk_log.content)
        for archive, fingerprint in archives[:MOST_BOOKS]:
            with self._lock:
                names = self._read.get(archive)
            if names is None:
                try:
                    names = _names_of(library.book(fingerprint, archive))
                except BookLost:
                    whole = False
                    continue
                with self._lock:
                    self._read[archive] = names
            found.append(names)
        return tuple(found), whole


def _names_of(book: Book) -> _Names:
    entries = book.tables.catalogue.entries
    return _Names(
        rules=frozenset(row.id for row in book.rows),
        models=frozenset(entries),
        aliases=frozenset(
            (gateway, alias, entry.id)
            for entry in entries.values()
            for gateway, names in entry.aliases
            for alias in names
        ),
    )


def _fault(field: str, text: str, known: _Known) -> FieldFault | None:
    what = field.removeprefix("deciding_")
    choices = {"model": known.models, "rule": known.rules, "gateway": known.gateways}[what]
    if text in choices or not known.whole:
        return None
    told = f"{quoted(text)} is no {what} of any decision on record, and of no book, freeze or key there was"
    called = sorted((model, gateway) for gateway, alias, model in known.aliases if alias == text)
    if field == "model" and called:
        model, gateway = called[0]
        meant = f"; for the gateway {quoted(gateway)} it means {quoted(model)}: search for that"
        return FieldFault(field=field, message=told + meant)
    near = near_miss(text, tuple(sorted(choices)))
    return FieldFault(field=field, message=told if near is None else f"{told}; did you mean {quoted(near)}?")
