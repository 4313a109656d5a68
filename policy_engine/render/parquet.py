"""Decisions as Parquet, for who counts in a notebook or a warehouse: the columns of the flat form with their types.

Instants are timestamps in UTC with microseconds, lists are lists of texts, numbers are 64-bit integers. DuckDB writes
the file and is an optional part of the installation. What it reads is laid down in a file beside it first, so that
neither holds more than a window of a long log in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

from policy_engine.render.export import COLUMNS, WINDOW, flat, kept
from policy_engine.store.decision_index import Filters
from policy_engine.store.index_search import DecisionIndex

PARQUET: Final = "parquet"
"""The name of the form."""

INSTALL: Final = ".venv/bin/pip install --require-hashes -r requirements/parquet.txt"
"""The command that installs what is needed, in a checkout."""

MEMORY: Final = "128MB"
"""What DuckDB may take beside its own code; what needs more goes to files in the folder of the export."""

GROUP: Final = 8_192
"""Rows of one group of the file: a group is in memory while it is written."""

_TYPES: Final = {str: "VARCHAR", int: "BIGINT", bool: "BOOLEAN", datetime: "TIMESTAMPTZ", list: "VARCHAR[]"}
_encoder: Final = msgspec.json.Encoder()


class ParquetMissing(Exception):
    """DuckDB is not installed; the text says how it is."""

    def __init__(self) -> None:
        super().__init__(f"Parquet is written by DuckDB, which is not installed here: {INSTALL}")


def require_parquet() -> ModuleType:
    """The module that writes Parquet. Raises `ParquetMissing`."""
    try:
        import duckdb  # noqa: PLC0415  an optional part, and slow to import
    except ImportError as error:
        raise ParquetMissing from error
    module: ModuleType = duckdb
    return module


def write_parquet(
    index: DecisionIndex,
    filters: Filters,
    folder: Path,
    *,
    size: int,
    keep: Callable[[bytes], bool] | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Path:
    """Write the decisions below the size, in the order of the log, into a file in a folder of the caller's, which may
    hold nothing else; `told` hears how far in the log it is. The file.

    Raises `ParquetMissing`, `LogUnavailable`, `LogDamaged`, and `OSError` where the folder takes no more.
    """
    duckdb = require_parquet()
    rows, target = folder / "rows.ndjson", folder / "rows.parquet"
    with rows.open("wb") as file:
        for begin in range(0, size, WINDOW):
            found = kept(index.since(filters, size=size, begin=begin, width=WINDOW), keep)
            for one in found:
                file.write(_encoder.encode(flat(one)) + b"\n")
            told(min(begin + WINDOW, size))
    columns = ", ".join(f"'{name}': '{_TYPES[kind]}'" for name, kind in COLUMNS.items())
    settings = {
        # Nothing is fetched from anywhere, and nothing but the two files is read or written.
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": MEMORY,
        "threads": "1",
        "preserve_insertion_order": "true",
        "temp_directory": str(folder / "spilt"),
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        connection.execute(
            f"COPY (SELECT * FROM read_json(?, format = 'newline_delimited', columns = {{{columns}}}))"  # noqa: S608
            f" TO '{_quoted(target)}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {GROUP})",
            [str(rows)],
        )
    except duckdb.IOException as error:
        raise OSError(f"the Parquet file cannot be written: {error}") from error
    finally:
        connection.close()
    rows.unlink()
    return target


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
