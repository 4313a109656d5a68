"""Which worked examples two folders do not share, and what each that changed says otherwise, value by value.

Only files that differ are read. An example that moved to another file, and one of which the note alone is otherwise,
says the same as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from policy_engine.formats.documents import Mapping as MappingNode
from policy_engine.formats.documents import Scalar, Sequence, parse_document
from policy_engine.formats.faults import Fault
from policy_engine.policy.book_changes import node_text, value_changes
from policy_engine.policy.cases import CASES, LARGEST_CASES
from policy_engine.shapes.reports import CaseDifferenceDocument, CellDocument

_NOTE: Final = "note"
_REQUIRED: Final = ("decision", "codes", "reason", "only_rules", "rules")


def case_differences(
    before: Mapping[str, bytes], after: Mapping[str, bytes]
) -> tuple[tuple[CaseDifferenceDocument, ...], tuple[str, ...]]:
    """The examples that went, then those that changed, then the new ones, each sorted by id; and the names of files
    that this release cannot read, whose examples are not compared."""
    unread: list[str] = []
    differing = [
        name for name in before.keys() | after.keys() if name.startswith(CASES) and before.get(name) != after.get(name)
    ]
    old, new = (_examples(files, differing, unread) for files in (before, after))
    found = [_difference("removed", name, old[name]) for name in sorted(old.keys() - new.keys())]
    for name in sorted(old.keys() & new.keys()):
        cells = tuple(value_changes(old[name], new[name]))
        if any(cell.name != _NOTE for cell in cells):
            found.append(_difference("changed", name, new[name], cells))
    found += [_difference("added", name, new[name]) for name in sorted(new.keys() - old.keys())]
    return tuple(found), tuple(sorted(set(unread)))


def _examples(files: Mapping[str, bytes], names: list[str], unread: list[str]) -> dict[str, MappingNode]:
    found = {}
    for name in names:
        data = files.get(name)
        if data is None:
            continue
        faults: list[Fault] = []
        node = parse_document(data, name, faults, max_bytes=LARGEST_CASES)
        if faults or not isinstance(node, Sequence):
            unread.append(name)
            continue
        for item in node.items:
            if isinstance(item, MappingNode) and isinstance(identifier := item.get("id"), Scalar):
                found[identifier.text] = item
    return found


def _difference(
    what: str, name: str, node: MappingNode, cells: tuple[CellDocument, ...] = ()
) -> CaseDifferenceDocument:
    title, expect = node.get("title"), node.get("expect")
    parts = []
    if isinstance(expect, MappingNode):
        held = ((field, expect.get(field)) for field in _REQUIRED)
        parts = [
            node_text(value) if field == "decision" else f"{field} {node_text(value)}"
            for field, value in held
            if value is not None
        ]
    return CaseDifferenceDocument(
        id=name,
        what=what,
        title=title.text if isinstance(title, Scalar) else "",
        expects=", ".join(parts),
        values=cells,
    )
