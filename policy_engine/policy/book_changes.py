"""What stands otherwise in the files of a book than in those before: rows by their ids, cell by cell; tables by path.

This is what an author wrote, and not what it does: `analysis` tells whose answer changes. Sorting a file, its
separators and its quoting change nothing here. Every file of the folder but the worked examples is compared:

- rule files (`rules/*.csv`) by the id of each row, wherever it stands;
- YAML files by the path of each value; a list of values is one value, of a list of mappings whole items come and go;
- `CHANGELOG.csv`: the entries that are new, which say why a rule means something else;
- any other file by its lines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from msgspec import UNSET

from policy_engine.formats.documents import Mapping as MappingNode
from policy_engine.formats.documents import Node, Scalar, Sequence, parse_document
from policy_engine.formats.faults import Fault, Findings
from policy_engine.policy.cases import CASES
from policy_engine.policy.changelog import CHANGELOG, ChangelogEntry, new_entries, read_changelog
from policy_engine.policy.csv_reader import read_sheet
from policy_engine.policy.reader import LARGEST_DOCUMENT
from policy_engine.policy.rule_files import FOLDER
from policy_engine.shapes.reports import (
    BookChangesDocument,
    CellDocument,
    FileChangeDocument,
    ReasonOnRow,
    RowChangeDocument,
)

_YAML: Final = (".yaml", ".yml")
_ID: Final = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A row that is new (`before_file` is `None`), gone (`after_file` is `None`) or otherwise.

    `cells` are those that differ; of a row that is new or gone, those that are not empty. `reasons` are the new entries
    of the changelog about it.
    """

    rule: str
    before_file: str | None
    after_file: str | None
    cells: tuple[CellDocument, ...]
    reasons: tuple[ChangelogEntry, ...] = ()

    @property
    def what(self) -> str:
        """`added`, `removed` or `changed`."""
        if self.before_file is None:
            return "added"
        return "removed" if self.after_file is None else "changed"

    @property
    def file(self) -> str | None:
        """Where it stands, or stood."""
        return self.after_file or self.before_file

    @property
    def moved_from(self) -> str | None:
        """Where it stood before, when it stands elsewhere now."""
        return self.before_file if self.what == "changed" and self.before_file != self.after_file else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookChanges:
    """Everything that was written otherwise: rows in the order of their ids, files in that of their names.

    `other_reasons` are new entries of the changelog about rules whose rows are as they were. `unread` names the files
    of either book that cannot be taken apart by this release, and so are not compared.
    """

    rows: tuple[RowChange, ...]
    files: tuple[FileChangeDocument, ...]
    other_reasons: tuple[ChangelogEntry, ...] = ()
    unread: tuple[str, ...] = ()

    def count(self, what: str) -> int:
        """How many rows are `added`, `removed` or `changed`."""
        return sum(row.what == what for row in self.rows)

    def document(self) -> BookChangesDocument:
        """As it is told."""
        return BookChangesDocument(
            rows=tuple(
                RowChangeDocument(
                    rule=row.rule,
                    what=row.what,
                    file=row.file,
                    moved_from=row.moved_from or UNSET,
                    cells=row.cells,
                    reasons=tuple(map(_reason, row.reasons)),
                )
                for row in self.rows
            ),
            files=self.files,
            other_reasons=tuple(map(_reason, self.other_reasons)),
            unread=self.unread,
        )


def _reason(entry: ChangelogEntry) -> ReasonOnRow:
    return ReasonOnRow(rule=entry.rule, date=entry.day.isoformat(), what=entry.what, why=entry.why)


def book_changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> BookChanges:
    """What differs between the files of two books, by their names relative to the folder. Pure; raises nothing."""
    unread: list[str] = []
    old_rows, new_rows = _rows(before, unread), _rows(after, unread)
    faults: list[Fault] = []
    entries = new_entries(read_changelog(before.get(CHANGELOG), faults), read_changelog(after.get(CHANGELOG), faults))
    if faults:
        unread.append(CHANGELOG)
    rows = tuple(
        row
        for rule in sorted(old_rows.keys() | new_rows.keys())
        if (row := _row(rule, old_rows.get(rule), new_rows.get(rule), entries)) is not None
    )
    told = {row.rule for row in rows}
    names = sorted(
        name
        for name in before.keys() | after.keys()
        if not name.startswith((CASES, FOLDER)) and name != CHANGELOG and before.get(name) != after.get(name)
    )
    files = tuple(_file(name, before.get(name), after.get(name), unread) for name in names)
    return BookChanges(
        rows=rows,
        files=tuple(one for one in files if one.values),
        other_reasons=tuple(entry for entry in entries if entry.rule not in told),
        unread=tuple(sorted(set(unread))),
    )


_Row = tuple[str, dict[str, str]]
"""The file that a row stands in, and its cells by column."""


def _rows(files: Mapping[str, bytes], unread: list[str]) -> dict[str, _Row]:
    found: dict[str, _Row] = {}
    for name, data in sorted(files.items()):
        if not name.startswith(FOLDER):
            continue
        findings = Findings(source=name, faults=[])
        sheet = read_sheet(data, findings)
        if sheet is None or findings.faults or _ID not in sheet.header.cells:
            unread.append(name)
            continue
        for record in sheet.records:
            cells = dict(zip(sheet.header.cells, record.cells, strict=True))
            found[cells[_ID]] = name, cells
    return found


def _row(rule: str, before: _Row | None, after: _Row | None, entries: tuple[ChangelogEntry, ...]) -> RowChange | None:
    old_file, old = (None, {}) if before is None else before
    new_file, new = (None, {}) if after is None else after
    cells = tuple(
        CellDocument(name=name, before=old.get(name) or None, after=new.get(name) or None)
        for name in dict.fromkeys((*new, *old))
        if name != _ID and (old.get(name) or None) != (new.get(name) or None)
    )
    if not cells and old_file == new_file:
        return None
    reasons = tuple(entry for entry in entries if entry.rule == rule)
    return RowChange(rule=rule, before_file=old_file, after_file=new_file, cells=cells, reasons=reasons)


def _file(name: str, before: bytes | None, after: bytes | None, unread: list[str]) -> FileChangeDocument:
    if name.endswith(_YAML):
        old, new = _document(name, before), _document(name, after)
        if old is not None and new is not None:
            return FileChangeDocument(file=name, values=tuple(value_changes(old, new)))
        unread.append(name)
        return FileChangeDocument(file=name, values=())
    return FileChangeDocument(file=name, values=tuple(_lines(before, after)))


def _document(name: str, data: bytes | None) -> Node | None:
    """The document; an empty mapping where there is no file, and nothing where it cannot be read."""
    if data is None:
        return MappingNode(entries=(), line=1, column=1)
    faults: list[Fault] = []
    node = parse_document(data, name, faults, max_bytes=LARGEST_DOCUMENT)
    return None if faults else node


def value_changes(before: Node | None, after: Node | None, path: str = "") -> Iterator[CellDocument]:
    """The values of two documents that differ, each by its path below the one given; `None` has none."""
    if isinstance(before, MappingNode | None) and isinstance(after, MappingNode | None):
        names = [key.text for one in (after, before) if one is not None for key, _ in one.entries]
        for name in dict.fromkeys(names):
            inner = f"{path}.{name}" if path else name
            old_value, new_value = (None if one is None else one.get(name) for one in (before, after))
            yield from value_changes(old_value, new_value, inner)
        return
    if _has_mappings(before) or _has_mappings(after):
        yield from _items(path, before, after)
        return
    old, new = (None if one is None else node_text(one) for one in (before, after))
    if old != new:
        yield CellDocument(name=path, before=old, after=new)


def _has_mappings(node: Node | None) -> bool:
    return isinstance(node, Sequence) and any(not isinstance(item, Scalar) for item in node.items)


def _items(path: str, before: Node | None, after: Node | None) -> Iterator[CellDocument]:
    """The items of a list that went, and those that came."""
    old, new = (
        [node_text(item) for item in one.items]
        if isinstance(one, Sequence)
        else []
        if one is None
        else [node_text(one)]
        for one in (before, after)
    )
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    yield from (CellDocument(name=path, before=item, after=None) for item in gone.elements())
    yield from (CellDocument(name=path, before=None, after=item) for item in come.elements())


def node_text(node: Node) -> str:
    """The node on one line, as YAML writes it in brackets."""
    if isinstance(node, Scalar):
        return "null" if node.value is None else node.text
    if isinstance(node, Sequence):
        return f"[{', '.join(map(node_text, node.items))}]"
    return "{" + ", ".join(f"{key.text}: {node_text(value)}" for key, value in node.entries) + "}"


def _lines(before: bytes | None, after: bytes | None) -> Iterator[CellDocument]:
    old, new = ((one or b"").decode("utf-8", "replace").splitlines() for one in (before, after))
    for tag, start, end, begin, until in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            gone, come = "\n".join(old[start:end]), "\n".join(new[begin:until])
            yield CellDocument(name=f"line {begin + 1}", before=gone or None, after=come or None)
