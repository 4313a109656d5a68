"""A Parquet export has the decisions of the exact records, typed and in their order, or nothing."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest
from sqlalchemy import Engine

from policy_engine.formats.record_reader import read_record
from policy_engine.render.export import COLUMNS, export, flat
from policy_engine.render.parquet import INSTALL, ParquetMissing, require_parquet, write_parquet
from policy_engine.store.database import open_database
from policy_engine.store.decision_index import Filters, Indexer
from policy_engine.store.index_search import DecisionIndex, Logged
from tests.cli.test_cli import Shell, shell
from tests.records import entered, lose, put

__all__ = ["shell"]

GIVEN: Final = entered(450)
SIZE: Final = GIVEN[-1].log_index + 1


@dataclass(frozen=True, slots=True)
class Room:
    engine: Engine
    index: DecisionIndex


@pytest.fixture
def room(migrated: Path, tmp_path: Path) -> Iterator[Room]:
    shutil.copyfile(migrated, tmp_path / "a.db")
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    put(engine, GIVEN)
    Indexer(engine).catch_up(10**6)
    yield Room(engine, DecisionIndex(engine))
    engine.dispose()


def written(room: Room, folder: Path, filters: Filters | None = None, **more: Any) -> Path:
    folder.mkdir()
    return write_parquet(room.index, filters or Filters(), folder, size=SIZE, **more)


def rows(file: Path) -> list[dict[str, Any]]:
    """The rows, instants as text, since that has no zone of the machine's."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        told = ", ".join(
            f"strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ') AS {name}" if kind is datetime else name
            for name, kind in COLUMNS.items()
        )
        found = connection.execute(f"SELECT {told} FROM read_parquet(?)", [str(file)])  # noqa: S608
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_the_rows_say_what_the_exact_records_say_in_the_order_of_the_log(room: Room, tmp_path: Path) -> None:
    filters = Filters(decision="deny")
    exact = b"".join(chunk.data for chunk in export(room.index, filters, size=SIZE, form="jsonl")).splitlines()
    found = rows(written(room, tmp_path / "out", filters))
    assert len(found) == len(exact) == sum(not one.read.allowed for one in GIVEN)
    for row, body in zip(found, exact, strict=True):
        document, told = json.loads(body), read_record(body)
        answer, asked = document["answer"], document["request"]
        assert row["decision_id"] == answer["decision_id"]
        assert (row["decided_at"], row["valid_until"]) == (answer["decided_at"], answer["valid_until"])
        assert (row["decision"], row["hold"]) == (answer["decision"], answer["hold"])
        assert (row["reason_code"], row["reason_rule"]) == (answer["reason"]["code"], answer["reason"]["rule"])
        assert row["missing"] == answer["missing"]
        assert row["rules"] == sorted({finding["rule"] for finding in answer["findings"]})
        deciding = {finding["rule"] for finding in answer["findings"] if finding["state"] == "deciding"}
        assert row["deciding_rules"] == sorted(deciding)
        assert (row["subject"], row["request_id"]) == (asked["subject"]["id"], told.request and told.request.request_id)
        assert row["membership_revision"] == answer["membership_revision"]
        assert {name: row[name] for name in COLUMNS if COLUMNS[name] is not datetime} == {
            name: value
            for name, value in flat(
                Logged(log_index=row["log_index"], id=told.id, at=told.decided_at, body=body)
            ).items()
            if COLUMNS[name] is not datetime
        }
    assert [row["log_index"] for row in found] == sorted(row["log_index"] for row in found)


def test_columns_have_their_types_lists_are_lists_and_instants_are_in_utc(room: Room, tmp_path: Path) -> None:
    file = written(room, tmp_path / "out")
    with duckdb.connect() as connection:
        types = dict(
            connection.execute(
                "SELECT column_name, column_type FROM (DESCRIBE FROM read_parquet(?))", [str(file)]
            ).fetchall()
        )
        adjusted = connection.execute(
            "SELECT name FROM parquet_schema(?) WHERE logical_type LIKE '%isAdjustedToUTC=1%MICROS=MicroSeconds%'",
            [str(file)],
        ).fetchall()
    assert (types["log_index"], types["hold"], types["model"]) == ("BIGINT", "BOOLEAN", "VARCHAR")
    assert {types[name] for name, kind in COLUMNS.items() if kind is list} == {"VARCHAR[]"}
    assert sorted(name for (name,) in adjusted) == sorted(name for name, kind in COLUMNS.items() if kind is datetime)


def test_a_record_that_cannot_be_read_has_its_row_and_unknown_values(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = Logged(log_index=3, id="01ODD", at=GIVEN[0].at, body=b'{"v":99}')
    monkeypatch.setattr(DecisionIndex, "since", lambda *_, begin, **__: (odd,) if begin == 0 else ())
    (row,) = rows(written(room, tmp_path / "out"))
    assert (row["log_index"], row["decision_id"], row["hold"], row["rules"]) == (3, "01ODD", None, None)


def test_only_what_is_to_be_kept_is_written_and_the_folder_holds_nothing_else(room: Room, tmp_path: Path) -> None:
    wanted = {one.body for one in GIVEN[::7]}
    heard: list[int] = []
    file = written(room, tmp_path / "out", keep=wanted.__contains__, told=heard.append)
    assert [row["decision_id"] for row in rows(file)] == [one.id for one in GIVEN[::7]]
    assert heard[-1] == SIZE
    assert list((tmp_path / "out").iterdir()) == [file]


def test_an_export_of_nothing_is_a_file_with_its_columns(room: Room, tmp_path: Path) -> None:
    assert rows(written(room, tmp_path / "out", Filters(model="none"))) == []


@pytest.fixture
def auditor(shell: Shell, tmp_path: Path) -> Shell:
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    put(engine, GIVEN)
    engine.dispose()
    return shell


def test_the_command_writes_the_file_and_says_its_digest(auditor: Shell, tmp_path: Path) -> None:
    file = tmp_path / "out" / "it's.parquet"
    file.parent.mkdir()
    told = auditor("log", "export", "--format", "parquet", "--decision", "deny", "--output", str(file), "--json").json
    assert told["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert told["bytes"] == file.stat().st_size
    assert len(rows(file)) == sum(not one.read.allowed for one in GIVEN)
    assert list(file.parent.iterdir()) == [file]


def test_a_broken_export_leaves_nothing_and_what_was_there_stays(auditor: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"before")
    auditor("log", "query", "--limit", "1")
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    lose(engine, GIVEN[400].log_index)
    engine.dispose()
    told = auditor("log", "export", "--format", "parquet", "--output", str(folder / "a.parquet"))
    assert (told.code, str(GIVEN[400].log_index) in told.err) == (1, True)
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == {"a.parquet": b"before"}


def test_where_it_is_not_installed_the_command_to_install_it_is_told(
    auditor: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ParquetMissing):
        require_parquet()
    told = auditor("log", "export", "--format", "parquet", "--output", str(tmp_path / "a.parquet"))
    assert (told.code, INSTALL in " ".join(told.err.split())) == (2, True)
    assert not (tmp_path / "a.parquet").exists()
    assert io.StringIO(auditor("log", "export", "--format", "csv").out).readline().startswith('"log_index"')
