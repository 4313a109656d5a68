"""Whatever is altered, taken out, put in, exchanged or put back in what the service keeps, one at a time, is named.

Columns are taken from the tables themselves, so a new column is tampered with from its first day: either something
names it, or it is listed in `UNNAMED` with the reason.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from sqlalchemy import Boolean, Column, Integer, LargeBinary, Table, Text
from sqlalchemy.types import TypeEngine

from policy_engine.app.builder import open_sealing
from policy_engine.cli.log_proofs import receipt, verify
from policy_engine.store.database import open_database
from policy_engine.store.log_entries import LogEntries
from policy_engine.store.tables import CreditOfPeriod, Instant, Pairs, Percent, Texts, TextSet, WordColumn, metadata
from tests.cli.test_cli import Shell, Told
from tests.conftest import ROOT
from tests.security.tampering import Kept, keep

Act = Callable[[Kept], None]

UNNAMED: Final[dict[str, str]] = {
    "keys.secret_hash: another value": "the log never has it",
    "controls.epoch: another value": "a higher one has decisions that are being made judged again, and nothing else",
    "blobs: a row is taken out": "the rows of a revision, of which those on file have the digest",
    "decisions.request_digest: another value": "the record has the request itself, and not as it was written",
}
"""Tamperings that nothing names, and why; `docs/auditors.md` says so too."""

TABLES: Final = tuple(
    table for table in metadata.sorted_tables if table.name not in ("webhook_cursors", "changed_names")
)
"""Those that the log vouches for. How far webhooks were told, and what the last epochs changed, are no records;
`docs/auditors.md` says what that means."""

SINGLE: Final = ("controls", "decision_index_progress")
"""Tables of one row."""
VERIFYING: Final = typer.Typer()
_LOG: Final = typer.Typer()
_LOG.command("verify")(verify)
_LOG.command("receipt")(receipt)
VERIFYING.add_typer(_LOG, name="log")

EVERYTHING: Final = ("verify", "--database", "--index")


@dataclass(frozen=True, slots=True)
class Tampering:
    """What is done, and what is to name it: the options of `log verify`, and a piece of what it says."""

    act: Act
    says: str = ""
    command: tuple[str, ...] = EVERYTHING


@contextmanager
def rewritten(kept: Kept) -> Iterator[sqlite3.Connection]:
    """The database, to be altered as by the owner of the tables, who puts the triggers back afterwards."""
    connection = sqlite3.connect(kept.folder / "office.db")
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    yield connection
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()


def sql(*statements: str, changes: int | None = None) -> Act:
    """Run statements, the last of which has to alter something."""

    def act(kept: Kept) -> None:
        with rewritten(kept) as connection:
            for statement in statements:
                done = connection.execute(statement)
        assert done.rowcount > 0 if changes is None else done.rowcount == changes, statements

    return act


# --- the database -----------------------------------------------------------------------------------------------------


OTHER_VALUES: Final[tuple[tuple[type[TypeEngine[Any]] | TypeEngine[Any], str], ...]] = (
    (Boolean, "CASE WHEN {0} THEN 0 ELSE 1 END"),
    (WordColumn, "CASE {0} WHEN '{1}' THEN '{2}' ELSE '{1}' END"),
    (Percent, "'7.5'"),
    (CreditOfPeriod, """'["7","month"]'"""),
    (Pairs, """'[["x","y"]]'"""),
    (Texts, """'["x"]'"""),
    (TextSet, """'["x"]'"""),
    (LargeBinary, "x'7b7d'"),
    (Instant, "coalesce({0} + 1, 1)"),
    (Integer, "coalesce({0} + 1, 1)"),
    (Text, "coalesce({0}, '') || 'x'"),
)
"""SQL for another value of a column than it has, and than null."""


def another_value(column: Column[Any]) -> str:
    words = [word.value for word in getattr(column.type, "words", ())][:2]
    (form,) = [
        form
        for kind, form in OTHER_VALUES
        if (isinstance(column.type, kind) if isinstance(kind, type) else column.type is kind)
    ]
    return form.format(column.name, *words)


def a_row(table: Table) -> str:
    """SQL for the last row of a table, by its whole key; of what is kept under a digest the rows of a revision."""
    if table.name == "blobs":
        return "digest = (SELECT json_extract(body, '$.event.digest') FROM changes WHERE kind = 'members.recorded')"
    key = ", ".join(column.name for column in table.primary_key)
    order = ", ".join(f"{column.name} DESC" for column in table.primary_key)
    return f"({key}) = (SELECT {key} FROM {table.name} ORDER BY {order} LIMIT 1)"  # noqa: S608  of this test


def altered_columns() -> Iterator[tuple[str, Tampering]]:
    for table in TABLES:
        for column in table.columns:
            # The number of a row says nothing, and a check of the database holds that of a single row.
            if column.name == "row_id" or (table.name in SINGLE and column.name == "id"):
                continue
            statement = f"UPDATE {table.name} SET {column.name} = {another_value(column)} WHERE {a_row(table)}"  # noqa: S608
            yield f"{table.name}.{column.name}: another value", Tampering(sql(statement, changes=1))


def altered_rows() -> Iterator[tuple[str, Tampering]]:
    for table in TABLES:
        if table.name not in SINGLE:
            statement = f"DELETE FROM {table.name} WHERE {a_row(table)}"  # noqa: S608  of this test
            yield f"{table.name}: a row is taken out", Tampering(sql(statement, changes=1))
    for table in TABLES:
        if "row_id" in table.columns:
            names = ", ".join(column.name for column in table.columns if column.name != "row_id")
            statement = f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {table.name} WHERE {a_row(table)}"  # noqa: S608
            yield f"{table.name}: a row stands twice", Tampering(sql(statement, changes=1))


def dropped_triggers() -> Iterator[tuple[str, Tampering]]:
    for table in TABLES:
        if table.info["service"] == "SELECT, INSERT":
            for change in ("update", "delete"):
                name = f"{table.name}_refuse_{change}"
                yield f"{name} is dropped", Tampering(run(f"DROP TRIGGER {name}"), says=f"`{name}`")


def run(*statements: str) -> Act:
    """Run statements as they stand."""

    def act(kept: Kept) -> None:
        connection = sqlite3.connect(kept.folder / "office.db")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return act


REWRITTEN: Final[dict[str, Tampering]] = {
    "two decisions exchange their ids": Tampering(
        sql(
            "UPDATE decisions SET id = 'x' WHERE log_index = (SELECT min(log_index) FROM decisions)",
            "UPDATE decisions SET id = (SELECT json_extract(body, '$.answer.decision_id') FROM decisions"
            " WHERE id = 'x') WHERE log_index = (SELECT max(log_index) FROM decisions)",
            "UPDATE decisions SET id = (SELECT json_extract(body, '$.answer.decision_id') FROM decisions"
            " ORDER BY log_index DESC LIMIT 1) WHERE id = 'x'",
        ),
        says="id",
    ),
    "two decisions exchange their numbers": Tampering(
        sql(
            "UPDATE decisions SET log_index = 999 WHERE log_index = (SELECT min(log_index) FROM decisions)",
            "UPDATE decisions SET log_index = (SELECT log_index - 1 FROM decisions ORDER BY log_index LIMIT 1)"
            " WHERE log_index = (SELECT log_index FROM decisions ORDER BY log_index LIMIT 1)",
        ),
    ),
    "a deny is written into an allow": Tampering(
        sql(
            "UPDATE decisions SET body = CAST(replace(CAST(body AS TEXT), '\"allowed\":false', '\"allowed\":true')"
            " AS BLOB), allowed = 1 WHERE NOT allowed"
        ),
        says="in the database is not the one sealed",
    ),
    "a change is written into another": Tampering(
        sql("UPDATE changes SET body = (SELECT body FROM changes WHERE log_index = 0) WHERE log_index = 1"),
        says="in the database is not the one sealed",
    ),
    "a decision is put in the place of a change": Tampering(
        sql("DELETE FROM changes WHERE log_index = 0", "UPDATE decisions SET log_index = 0 WHERE log_index = 20"),
    ),
    "every decision of a year is taken out": Tampering(
        sql("DELETE FROM decisions WHERE decided_at > (SELECT max(at) FROM changes)"), says="is not in the database"
    ),
    "a year is taken out of the log": Tampering(
        sql("DELETE FROM log_years WHERE year = 2027"), says="is of a year that is not in the database"
    ),
    "every year is taken out of the log": Tampering(sql("DELETE FROM log_years"), says="is of a year"),
    "a year begins elsewhere": Tampering(sql("UPDATE log_years SET first_index = first_index - 1 WHERE year = 2027")),
    "the first year begins later": Tampering(
        sql("UPDATE log_years SET first_index = 2 WHERE year = 2026"), says="are in none of its years"
    ),
    "a key of which the log does not tell": Tampering(
        sql(
            "INSERT INTO keys (id, name, secret_hash, rights, person, assertable, created_at)"
            " VALUES ('k', 'n', 'h', '[\"decide\"]', 'dora', '[]', 0)"
        ),
        says="the key `k`",
    ),
    "a revoked key is in force again": Tampering(
        sql("UPDATE keys SET revoked_at = NULL WHERE revoked_at IS NOT NULL"), says="on file is not the one"
    ),
    "a suspended membership is active": Tampering(
        sql("UPDATE memberships SET status = 'active' WHERE status = 'suspended'"),
        says="the rows of membership revision",
    ),
    "a confirmed listing is cleared": Tampering(
        sql("UPDATE listings SET status = 'cleared', cleared_version = entry_version WHERE status != 'cleared'"),
        says="the rows of membership revision",
    ),
    "a citizenship is moved to another revision": Tampering(
        sql("UPDATE citizenships SET revision = 1 WHERE revision = 4"), says="the rows of membership revision"
    ),
    "rows with a revision of their own": Tampering(
        sql(
            "INSERT INTO revisions VALUES (6, 0, 'x', 'x', 1)",
            "UPDATE controls SET membership_revision = 6",
            "UPDATE citizenships SET revision = 6 WHERE revision = 4",
        ),
        says="of which no change tells",
    ),
    "a revision and its draw are taken out": Tampering(
        sql("DELETE FROM draws WHERE revision = 5", "DELETE FROM revisions WHERE number = 5"),
        says="membership revision 5 is missing",
    ),
    "a revision and its draw are taken out, and the counter is put back": Tampering(
        sql(
            "DELETE FROM draws WHERE revision = 5",
            "DELETE FROM revisions WHERE number = 5",
            "UPDATE controls SET membership_revision = 4",
        ),
        says="membership revision",
    ),
    "a draw for another person": Tampering(
        sql("UPDATE draws SET person = 'ken' WHERE revision = 5"), says="is not the one that `decision:"
    ),
    "a draw in the name of a decision that is none": Tampering(
        sql(
            "INSERT INTO revisions VALUES (6, 0, 'decision:none', 'a place of a capped authorisation', 1)",
            "UPDATE controls SET membership_revision = 6",
            "INSERT INTO draws (authorisation, person, at, recorded_at, retracted, revision)"
            " VALUES ('L-capped', 'ken', 0, 0, 0, 6)",
        ),
        says="which is not in the log",
    ),
    "a second attempt is the first": Tampering(
        sql("UPDATE decisions SET attempt = 1, retry_of = NULL, request_id = 'gw-2' WHERE attempt = 2")
    ),
    "a second attempt repeats another decision": Tampering(
        sql("UPDATE decisions SET retry_of = (SELECT max(id) FROM decisions) WHERE attempt = 2"),
        says="names another earlier decision",
    ),
    "a review case that no decision opened": Tampering(
        sql(
            "INSERT INTO reviews SELECT 'RV-X', subject, model, action, purpose, rule, opened_at, decision FROM reviews"
        ),
        says="was opened by no decision",
    ),
    "an archive under the digest of another": Tampering(
        sql("UPDATE blobs SET body = (SELECT max(body) FROM blobs)"), says="its SHA-256 is not its name"
    ),
    "every archive is taken out": Tampering(sql("DELETE FROM blobs"), says="is not on file"),
    "the control epoch is put back": Tampering(sql("UPDATE controls SET epoch = 1"), says="the control epoch is 1"),
    "the membership revision is put back": Tampering(
        sql("UPDATE controls SET membership_revision = 1"), says="the last one in force is 1"
    ),
    "a trigger that refuses nothing": Tampering(
        run(
            "DROP TRIGGER decisions_refuse_update",
            "CREATE TRIGGER decisions_refuse_update BEFORE update ON decisions BEGIN SELECT 1; END",
        ),
        says="`decisions_refuse_update`",
    ),
    "decisions are hidden from the index": Tampering(
        sql("DELETE FROM decision_index WHERE log_index > 20", "UPDATE decision_index_progress SET next_index = 99"),
        says="run `policy-engine log reindex`",
    ),
    "the index is put back, and keeps what came later": Tampering(
        sql("UPDATE decision_index_progress SET next_index = 5"), says="run `policy-engine log reindex`"
    ),
    "a mark of a rule that did not decide": Tampering(
        sql("INSERT INTO decision_parts VALUES ('rule', 'R', 0, x'1400')"), says="run `policy-engine log reindex`"
    ),
}

# --- the sealed folder and the witness --------------------------------------------------------------------------------


def newest(kept: Kept, name: str) -> Path:
    """The file of this name; of the tiles of several sizes the largest, which the newest checkpoint stands on."""
    return max(kept.folder.glob(name), key=lambda path: (len(path.name), path.name))


def flipped(name: str, at: float) -> Act:
    """One bit of a file, so far into it."""

    def act(kept: Kept) -> None:
        path = newest(kept, name)
        data = bytearray(path.read_bytes())
        data[int(at * (len(data) - 1))] ^= 1
        path.write_bytes(data)

    return act


def cut(name: str, *, by: int) -> Act:
    def act(kept: Kept) -> None:
        path = newest(kept, name)
        path.write_bytes(path.read_bytes()[:-by] if by else b"")

    return act


def longer(name: str) -> Act:
    def act(kept: Kept) -> None:
        path = newest(kept, name)
        path.write_bytes(path.read_bytes() + b"\n")

    return act


def removed(name: str) -> Act:
    def act(kept: Kept) -> None:
        for path in kept.folder.glob(name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return act


def put_back(*names: str) -> Act:
    """These from the earlier copy."""

    def act(kept: Kept) -> None:
        for name in names:
            removed(name)(kept)
            source = kept.folder / "earlier" / name
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, kept.folder / name)

    return act


def exchanged(one: str, other: str) -> Act:
    def act(kept: Kept) -> None:
        first, second = newest(kept, one), newest(kept, other)
        held = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(held)

    return act


def rewritten_text(name: str, pattern: str, by: str) -> Act:
    def act(kept: Kept) -> None:
        path = newest(kept, name)
        text, count = re.subn(pattern, by, path.read_text(), count=1, flags=re.MULTILINE)
        assert count == 1, pattern
        path.write_text(text)

    return act


FILES: Final = {
    "the checkpoint": "ledger/{year}/checkpoint",
    "the tile of hashes": "ledger/{year}/tile/0/000.p/*",
    "the bundle of entries": "ledger/{year}/tile/entries/000.p/*",
    "the witness": "witness/{year}.witness",
}


def altered_files() -> Iterator[tuple[str, Tampering]]:
    for year in (2026, 2027):
        for what, pattern in FILES.items():
            name = pattern.format(year=year)
            for at in (0.0, 0.5, 1.0):
                yield f"{what} of {year}: a bit at {at:.0%}", Tampering(flipped(name, at))
            yield f"{what} of {year}: the last byte is missing", Tampering(cut(name, by=1))
            yield f"{what} of {year}: nothing is in it", Tampering(cut(name, by=0))
            yield f"{what} of {year}: a byte more", Tampering(longer(name))
            yield f"{what} of {year} is gone", Tampering(removed(name))
    for what, pattern in FILES.items():
        yield (
            f"{what} of one year is exchanged with that of the other",
            Tampering(exchanged(pattern.format(year=2026), pattern.format(year=2027))),
        )


_CHECKPOINT: Final = "ledger/2027/checkpoint"
_OLDER: Final = (*EVERYTHING, "--older", "{folder}/taken/newest.txt")


def with_newest(act: Act) -> Act:
    """An auditor has taken the newest checkpoint of 2026 away before."""

    def both(kept: Kept) -> None:
        shutil.copyfile(kept.folder / "ledger" / "2026" / "checkpoint", kept.folder / "taken" / "newest.txt")
        act(kept)

    return both


SEALED: Final[dict[str, Tampering]] = {
    "the checkpoint names another origin": Tampering(rewritten_text(_CHECKPOINT, r"^pdp\.example", "pdp.elsewhere")),
    "the checkpoint names a smaller tree": Tampering(rewritten_text(_CHECKPOINT, r"^4$", "3")),
    "the checkpoint names a larger tree": Tampering(rewritten_text(_CHECKPOINT, r"^4$", "5")),
    "the checkpoint has no signature": Tampering(rewritten_text(_CHECKPOINT, r"^— .*\n", "")),
    "the signature names another key": Tampering(rewritten_text(_CHECKPOINT, r"^— pdp\.example", "— pdp.elsewhere")),
    "the folder of a year is gone": Tampering(removed("ledger/2027")),
    "the whole sealed folder is gone": Tampering(removed("ledger")),
    "the tiles of a year are gone": Tampering(removed("ledger/2026/tile")),
    "every witness is gone": Tampering(removed("witness")),
    "the signing key is gone": Tampering(removed("log.key"), says="there is no key"),
    "another signing key": Tampering(flipped("log.key", 0.3)),
    "an older database is put back": Tampering(put_back("office.db"), says="is of a year that is not in the database"),
    "an older sealed folder is put back": Tampering(put_back("ledger")),
    "an older database and its sealed folder are put back": Tampering(put_back("office.db", "ledger")),
    "an older database and its witness are put back": Tampering(put_back("office.db", "witness")),
    "everything older is put back, and somebody has the newest checkpoint": Tampering(
        with_newest(put_back("office.db", "ledger", "witness")), command=_OLDER
    ),
}

# --- what was taken away ----------------------------------------------------------------------------------------------

RECEIPT: Final = (
    *("verify", "--receipt", "{folder}/taken/receipt", "--record", "{folder}/taken/record"),
    *("--key", "{folder}/taken/2027.vkey"),
)


def altered_receipts() -> Iterator[tuple[str, Tampering]]:
    for at in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        yield f"the receipt: a bit at {at:.0%}", Tampering(flipped("taken/receipt", at), command=RECEIPT)
    for at in (0.0, 0.5, 1.0):
        yield f"the record of a receipt: a bit at {at:.0%}", Tampering(flipped("taken/record", at), command=RECEIPT)
    yield "the receipt is cut short", Tampering(cut("taken/receipt", by=20), command=RECEIPT)
    yield (
        "the receipt is of another index",
        Tampering(rewritten_text("taken/receipt", r"^index 0$", "index 1"), command=RECEIPT),
    )
    yield (
        "the receipt under the key of another year",
        Tampering(exchanged("taken/2026.vkey", "taken/2027.vkey"), command=RECEIPT),
    )
    yield (
        "the record has another answer",
        Tampering(rewritten_text("taken/record", '"decision":"allow"', '"decision":"deny"'), command=RECEIPT),
    )


TAMPERINGS: Final[dict[str, Tampering]] = {
    **dict(altered_columns()),
    **dict(altered_rows()),
    **dict(dropped_triggers()),
    **REWRITTEN,
    **dict(altered_files()),
    **SEALED,
    **dict(altered_receipts()),
}


@pytest.fixture(scope="module")
def kept(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return keep(tmp_path_factory.mktemp("kept"), migrated)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


def checked(kept: Kept, shell: Shell, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> Told:
    """What `log verify` says of a folder; patience with a sealer between two of its writes is not needed here."""
    for name in ("database_url", "policies", "ledger", "witness", "log_key", "log_origin"):
        monkeypatch.setenv(f"POLICY_ENGINE_{name.upper()}", str(getattr(kept.settings, name)))
    monkeypatch.setattr("policy_engine.cli.log_proofs.PAUSE_SECONDS", 0)
    # The one command that is run: to put all of them together takes longer than to run it.
    monkeypatch.setattr("policy_engine.cli.main.app", VERIFYING)
    return shell("log", *(part.format(folder=kept.folder) for part in command))


def test_what_nobody_tampered_with_is_whole(
    kept: Kept, shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = kept.copied(tmp_path / "copy")
    for command in (EVERYTHING, RECEIPT, (*EVERYTHING, "--older", "{folder}/taken/older.txt")):
        told = checked(copy, shell, monkeypatch, command)
        assert told.code == 0, told.err
    engine = open_database(copy.settings.database_url)
    open_sealing(copy.settings, LogEntries(engine)).require_history()
    engine.dispose()


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampering_is_named(
    kept: Kept, shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    tampering = TAMPERINGS[name]
    copy = kept.copied(tmp_path / "copy")
    tampering.act(copy)

    told = checked(copy, shell, monkeypatch, tampering.command)

    assert (told.code == 0) is (name in UNNAMED), told.out + told.err
    assert tampering.says in told.err
    assert name in UNNAMED or told.err.strip(), "it says nothing"


def test_the_page_has_the_counts_of_tamperings() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

    (said, unnamed) = map(int, re.findall(r"over (\d+) tamperings, all but (\d+) named", page)[0])

    assert said < len(TAMPERINGS) < said + 50, "a new column is a new tampering: write the hundreds anew"
    assert unnamed == len(UNNAMED)
    assert set(UNNAMED) <= set(TAMPERINGS)
