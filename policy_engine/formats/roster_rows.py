"""Rows of the members as canonical bytes: what a revision's digest is taken of, kept under it and shown again.

One row on a line, `["kind",{...}]` as compact JSON in UTF-8 with the fields in the order of their declaration, kinds in
the order of `ROW_TYPES` and rows of a kind in the order of recording. A field that rows did not have from the first is
left out where it has its default, so that the digest of a revision that was recorded before stays what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final

import msgspec

from policy_engine.domain.roster import Recorded, RosterRows
from policy_engine.shapes.member_rows import BY_ROWS, EVERYWHERE

ROW_TYPES: Final[Mapping[str, type[Recorded]]] = {name: section.row for name, section in BY_ROWS.items()}
"""The kinds of rows by their names in `RosterRows`, in the order of the canonical form."""

_FIRST: Final = {
    name: frozenset(
        {"person", *(one.fields[0] for one in (*section.members, *EVERYWHERE) if one.fields and not one.later)}
    )
    for name, section in BY_ROWS.items()
}
"""The fields that rows of a kind had from the first; of a share they were the percentage alone."""

_encoder: Final = msgspec.json.Encoder()


class RowsFault(ValueError):
    """The bytes are no rows in canonical form."""


def row_bytes(kind: str, row: Recorded) -> bytes:
    """One row as a line, with its line feed."""
    first = _FIRST[kind]
    told = {
        field.name: value
        for field in fields(row)
        if (value := getattr(row, field.name)) != _default(field) or field.name in first
    }
    return _encoder.encode([kind, told]) + b"\n"


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def each_row(rows: RosterRows) -> Iterator[Recorded]:
    """Every row, kinds in the canonical order."""
    for kind in ROW_TYPES:
        yield from getattr(rows, kind)


def encode_rows(rows: RosterRows) -> bytes:
    """The rows, each on its line."""
    return b"".join(row_bytes(kind, row) for kind in ROW_TYPES for row in getattr(rows, kind))


def decode_rows(data: bytes) -> RosterRows:
    """The rows in canonical form. Raises `RowsFault`."""
    found: dict[str, list[Recorded]] = {kind: [] for kind in ROW_TYPES}
    try:
        for line in data.splitlines():
            kind, row = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
            if kind not in ROW_TYPES:
                raise RowsFault(f"unknown kind of row `{kind}`")
            found[kind].append(msgspec.json.decode(row, type=ROW_TYPES[kind]))
    except msgspec.MsgspecError as error:
        raise RowsFault(str(error)) from error
    rows: dict[str, Any] = {kind: tuple(held) for kind, held in found.items()}
    return RosterRows(**rows)
