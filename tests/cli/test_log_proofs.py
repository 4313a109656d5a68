"""The commands by which an operator and an auditor prove the log: what they print, and how they exit."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import pytest
import uvicorn

from policy_engine.app.builder import Parts, build, open_sealing
from policy_engine.app.settings import Settings
from policy_engine.asgi import create_app
from policy_engine.cli.decide import decide_now
from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Listing, ListingStatus, RosterRows
from policy_engine.service.gate.keyring import RIGHTS
from policy_engine.service.sealing.sealed_log import Sealing, SealKeeper
from policy_engine.store.database import open_database, writing
from tests.cli.test_cli import Shell, Told
from tests.conftest import POLICIES
from tests.service.decisions import DEMO

BEGIN: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CAROL: Final[dict[str, object]] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}


class Office:
    """A shell beside a log, whose clock and sealer the test holds."""

    def __init__(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, folder: Path, migrated: Path) -> None:
        self.shell, self.folder = shell, folder
        (folder / "office.db").write_bytes(migrated.read_bytes())
        self.settings = Settings(
            database_url=f"sqlite:///{folder / 'office.db'}",
            policies=POLICIES,
            ledger=folder / "ledger",
            witness=folder / "witness",
            log_key=folder / "log.key",
            log_origin="pdp.example/log",
        )
        for name in ("database_url", "policies", "ledger", "witness", "log_key", "log_origin"):
            monkeypatch.setenv(f"POLICY_ENGINE_{name.upper()}", str(getattr(self.settings, name)))
        monkeypatch.setenv("COLUMNS", "250")
        self._monkeypatch = monkeypatch
        self.now = BEGIN
        self.parts: Parts = build(self.settings, clock=lambda: self.now)
        self.parts.members.record(DEMO, actor="test", reason="test", at=BEGIN)
        self.sealing: Sealing = open_sealing(self.settings, self.parts.entries)

    def __call__(self, *arguments: str) -> Told:
        return self.shell("log", *arguments)

    def decide(self, **changes: object) -> str:
        """The id of a decision, which is sealed too."""
        self.parts.gate.view.refresh()
        answer = json.loads(decide_now(self.parts.gate, {**CAROL, **changes}, Caller(id="cli", explain=True)))
        self.sealing.seal()
        return str(answer["decision_id"])

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def key(self, year: int = 2026) -> str:
        """The file of a verifier key."""
        path = self.folder / f"{year}.vkey"
        path.write_text(self.sealing.key(year).verifier.encode() + "\n")
        return str(path)

    @contextmanager
    def served(self) -> Iterator[None]:
        """The service, on a port that the shell knows."""
        app = create_app(replace(self.parts, keeper=SealKeeper(self.sealing, report=lambda _: None)))
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", http="h11", loop="asyncio", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        self._monkeypatch.setenv("POLICY_ENGINE_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        made = self.parts.ring.create(
            name="test", rights=RIGHTS, at=self.now, random_hex=secrets.token_hex, person="dora"
        )
        self._monkeypatch.setenv("POLICY_ENGINE_KEY", made.token)
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(timeout=30)
            listening.close()


@pytest.fixture
def office(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], migrated: Path, tmp_path: Path
) -> Iterator[Office]:
    made = Office(Shell(monkeypatch, capsys), monkeypatch, tmp_path, migrated)
    yield made
    made.parts.close()


def alter(office: Office, *statements: str) -> None:
    """What only the owner of the tables can do, who puts the triggers back afterwards."""
    engine = open_database(office.settings.database_url)
    with writing(engine) as writer:
        triggers = writer.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            writer.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            writer.exec_driver_sql(statement)
        for _, made in triggers:
            writer.exec_driver_sql(made)
    engine.dispose()


# --- verify -----------------------------------------------------------------------------------------------------------


def test_a_log_without_fault_verifies_with_its_database_and_an_older_checkpoint(office: Office) -> None:
    office.decide()
    checkpoint = office.folder / "ledger" / "2026" / "checkpoint"
    (office.folder / "older.txt").write_bytes(checkpoint.read_bytes())
    office.decide()
    told = office("verify", "--database", "--older", office.path("older.txt"))
    assert told.code == 0, told.err
    assert "pdp.example/log/2026: 4 entries" in told.out
    assert "4 entries of the database are those sealed, 0 wait to be sealed" in told.out
    (year,) = office("verify", "--database", "--older", office.path("older.txt"), "--json").json["years"]
    assert (year["size"], year["compared"], year["waiting"], year["held_against"]) == (4, 4, 0, [3, 4])


def test_the_first_fault_is_named_and_the_exit_is_1(office: Office) -> None:
    name = office.decide()
    engine = open_database(office.settings.database_url)
    with writing(engine) as writer:
        writer.exec_driver_sql("DROP TRIGGER decisions_refuse_update")
        writer.exec_driver_sql("UPDATE decisions SET body = ? WHERE id = ?", (b"{}", name))
    engine.dispose()
    assert office("verify").code == 0
    told = office("verify", "--database")
    assert (told.code, told.err) == (1, "2026: entry 2 in the database is not the one sealed\n")
    bundle = office.folder / "ledger" / "2026" / "tile" / "entries" / "000.p" / "3"
    bundle.write_bytes(bundle.read_bytes()[:-1])
    told = office("verify")
    assert told.code == 1
    assert told.err.startswith("2026: tile/entries/000.p/3: entry 2")


def test_a_witness_that_is_missing_or_a_key_that_is_missing_is_a_fault_and_no_key_is_made(office: Office) -> None:
    office.decide()
    (office.folder / "witness" / "2026.witness").rename(office.folder / "w")
    told = office("verify")
    assert told.code == 1
    assert "what the witness has seen is missing" in told.err
    office.settings.log_key.unlink()
    told = office("verify")
    assert told.code == 1
    assert "there is no key" in told.err
    assert not office.settings.log_key.exists()


def test_a_copy_is_verified_with_the_key_alone_and_not_under_another_one(office: Office) -> None:
    office.decide()
    folder = office.path("ledger/2026")
    told = office("verify", "--tiles", folder, "--key", office.key())
    assert (told.code, told.out.startswith("pdp.example/log/2026: 3 entries")) == (0, True)
    assert office("verify", "--tiles", folder, "--key", office.key(2027)).code == 1


def test_a_receipt_verifies_offline_for_its_record_and_for_no_other(office: Office) -> None:
    name = office.decide()
    told = office("receipt", name, "--output", office.path("r.tlog-proof"), "--record", office.path("r.json"))
    assert told.code == 0, told.err
    assert office.sealing.key(2026).verifier.encode() in told.out
    arguments = ("verify", "--receipt", office.path("r.tlog-proof"), "--record", office.path("r.json"))
    told = office(*arguments, "--key", office.key())
    assert told.code == 0, told.err
    assert "entry 2 of pdp.example/log/2026, whose checkpoint has 3 entries" in told.out
    record = office.folder / "r.json"
    record.write_bytes(record.read_bytes().replace(b"allow", b"deny", 1))
    told = office(*arguments, "--key", office.key())
    assert told.code == 1
    assert "the entry is not proven" in told.err
    record.write_bytes(b"")
    (office.folder / "r.tlog-proof").write_bytes(b"nothing")
    assert office(*arguments, "--key", office.key()).code == 1


def test_every_witness_and_folder_of_a_year_that_the_database_lost_is_named_and_the_exit_is_1(
    office: Office, migrated: Path
) -> None:
    office.decide()
    office.now = datetime(2027, 1, 2, tzinfo=UTC)
    office.decide()
    names = {year: (office.path(f"witness/{year}.witness"), office.path(f"ledger/{year}")) for year in (2026, 2027)}
    alter(office, "DELETE FROM log_years WHERE year = 2027")
    told = office("verify", "--database")
    assert told.code == 1
    assert [path in told.err for path in (*names[2026], *names[2027])] == [False, False, True, True]
    told = office("verify", "--database", "--json")
    assert (told.code, told.json["lost"]) == (1, [{"year": 2027, "files": list(names[2027])}])
    office.parts.close()
    for path in office.folder.glob("office.db*"):
        path.unlink()
    (office.folder / "office.db").write_bytes(migrated.read_bytes())
    told = office("verify")
    assert told.code == 1
    assert all(path in told.err for path in (*names[2026], *names[2027]))


def test_entries_that_are_in_no_year_are_a_fault(office: Office) -> None:
    office.decide()
    alter(office, "UPDATE log_years SET first_index = 2")
    told = office("verify", "--database")
    assert (told.code, told.err) == (1, "entries 0 to 1 of the log are in none of its years\n")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "'01K9Z5C0V4R8M2Q7T1X3Y6W0AB'"),
        ("decided_at", "decided_at - 1"),
        ("valid_until", "valid_until + 1"),
        ("allowed", "NOT allowed"),
        ("hold", "NOT hold"),
        ("caller", "'another'"),
        ("control_epoch", "control_epoch + 1"),
        ("request_id", "'r-2'"),
    ],
)
def test_a_row_that_says_otherwise_than_its_record_is_named_with_the_column(
    office: Office, column: str, value: str
) -> None:
    office.decide(request_id="r-1")
    assert office("verify", "--database").code == 0
    alter(office, f"UPDATE decisions SET {column} = {value}")  # noqa: S608  of this test
    told = office("verify", "--database")
    assert told.code == 1
    assert told.err == f"2026: entry 2 has other values in its row than in its bytes: {column}\n"


def test_two_rows_that_exchanged_their_ids_are_found(office: Office) -> None:
    one, other = office.decide(), office.decide(subject={"type": "person", "id": "ken"})
    alter(
        office,
        f"UPDATE decisions SET id = 'x' WHERE id = '{one}'",  # noqa: S608  of this test
        f"UPDATE decisions SET id = '{one}' WHERE id = '{other}'",  # noqa: S608
        f"UPDATE decisions SET id = '{other}' WHERE id = 'x'",  # noqa: S608
    )
    told = office("verify", "--database", "--json")
    assert told.code == 1
    assert told.err.endswith("has other values in its row than in its bytes: id\n")


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE blobs SET body = x'00'", "the archived content `sha256:"),
        (
            "UPDATE listings SET status = 'cleared'",
            "the rows of membership revision 1 are not those that were recorded",
        ),
        (
            "INSERT INTO keys (id, name, secret_hash, rights, person, assertable, created_at)"
            " VALUES ('k', 'n', 'h', '[]', 'dora', '[]', 0)",
            "the key `k` on file is not the one",
        ),
    ],
)
def test_what_stands_beside_the_log_and_is_not_what_it_tells_of_is_named(
    office: Office, statement: str, fault: str
) -> None:
    office.decide()
    assert office("verify", "--database").code == 0
    alter(office, statement)
    told = office("verify", "--database")
    assert told.code == 1
    assert fault in told.err


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decision_index SET subject = 'person:mallory'",
        "DELETE FROM decision_index",
        "INSERT INTO decision_index (log_index, id, at, decision, hold, caller) VALUES (0, 'x', 0, 'allow', 0, 'x')",
        "DELETE FROM decision_parts WHERE kind = 'rule'",
        "INSERT INTO decision_parts VALUES ('rule', 'R', 0, x'0200')",
        "INSERT INTO decision_parts VALUES ('rule', 'R', 7, x'0200')",
        "UPDATE decision_parts SET members = x'' WHERE kind = 'decision'",
        "UPDATE decision_spans SET last_at = last_at + 1",
        "UPDATE decision_spans SET members = x'00000100'",
        "DELETE FROM decision_spans",
    ],
)
def test_an_index_that_does_not_follow_from_the_records_is_named_and_made_again(office: Office, statement: str) -> None:
    office.decide()
    assert office("reindex").out == "the index was built again from 3 entries of the log\n"
    assert office("verify", "--database", "--index").code == 0
    alter(office, statement)
    assert office("verify", "--database").code == 0
    told = office("verify", "--database", "--index")
    assert told.code == 1
    assert told.err.startswith("the index ")
    assert told.err.endswith(": run `policy-engine log reindex`\n")
    assert office("reindex", "--json").json == {"entries": 3}
    assert office("verify", "--database", "--index").code == 0


def test_no_receipt_is_written_for_a_record_that_was_altered_and_the_exit_is_1(office: Office) -> None:
    name = office.decide()
    alter(office, "UPDATE decisions SET body = x'7b7d'")
    told = office("receipt", name, "--output", office.path("r.tlog-proof"))
    assert told.code == 1
    assert told.err.startswith("entry 2 of 2026 in the database is not the one that was sealed")
    assert not (office.folder / "r.tlog-proof").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--receipt", "r"),
        ("--tiles", "t"),
        ("--tiles", "t", "--key", "no-such-file"),
        ("--key", "k", "--database"),
        ("--index",),
        ("--older", "no-such-file"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(office: Office, arguments: tuple[str, ...]) -> None:
    assert office("verify", *arguments).code == 2


def test_a_checkpoint_of_another_log_is_wrong_usage(office: Office) -> None:
    office.decide()
    checkpoint = (office.folder / "ledger" / "2026" / "checkpoint").read_bytes()
    (office.folder / "other.txt").write_bytes(checkpoint.replace(b"pdp.example", b"pdp.elsewhere"))
    told = office("verify", "--older", office.path("other.txt"))
    assert told.code == 2
    assert "`pdp.elsewhere/log/2026`, which is not verified here" in told.err


def test_a_year_that_is_not_there_is_a_fault_and_an_empty_log_is_none(office: Office) -> None:
    assert office("verify").out == "nothing is sealed yet\n"
    office.decide()
    assert office("verify", "--year", "2025").code == 1
    assert office("verify", "--year", "2026").code == 0


# --- replay and lookback ----------------------------------------------------------------------------------------------


def carol_is_listed(office: Office) -> None:
    """It becomes known that carol's organisation was listed all along."""
    employer = next(row.organisation for row in DEMO.employments if row.person == "carol")
    listing = Listing(
        party=employer,
        list="EL",
        entry="X",
        entry_version="1",
        reference="90 FR 1",
        status=ListingStatus.CONFIRMED,
        valid=Validity(start=parse_instant("2026-01-01"), end=None),
    )
    office.parts.members.record(RosterRows(listings=(listing,)), actor="t", reason="t", at=BEGIN)


def test_a_replay_exits_0_for_the_same_and_1_with_every_place_that_differs(office: Office) -> None:
    name = office.decide()
    carol_is_listed(office)
    told = office("replay", name)
    assert (told.code, told.out) == (0, f"{name}: the same\n")
    assert office("replay", name, "--json").json["same"] is True
    told = office("replay", name, "--known-now")
    assert told.code == 1
    assert "recorded allow; with what is known now deny" in told.out
    assert "$.facts[0].known.listings: recorded" in told.out
    assert office("replay", "no-such-id").code == 1


def test_a_lookback_tells_what_a_rule_would_deny_and_exits_1_where_there_is_something(office: Office) -> None:
    name = office.decide()
    period = ("--from", "2026-11-01", "--to", "2026-12-01")
    told = office("lookback", "--rule", "VENDOR-REGION", *period)
    assert (told.code, told.out) == (0, "0 of 1 allows would be denied; 0 could not be judged\n")
    told = office("lookback", "--rule", "NO-SUCH", *period)
    assert (told.code, "is in none of the books" in told.err) == (2, True)
    assert office("lookback", "--rule", "VENDOR-REGION", "--from", "yesterday").code == 2
    carol_is_listed(office)
    office.parts.gate.view.refresh()
    answer = msgspec.json.decode(decide_now(office.parts.gate, CAROL, Caller(id="cli", explain=True)), type=_Answer)
    rule = next(one.rule for one in answer.findings if "LISTED_PARTY" in one.codes)
    told = office("lookback", "--rule", rule, *period)
    assert told.code == 1
    assert told.out.startswith(f"{name}  2026-11-20T12:00:00.000000Z  person:carol  infer  mythos-5  ")
    assert told.out.endswith("1 of 1 allows would be denied; 0 could not be judged\n")
    lines = office("lookback", "--rule", rule, *period, "--book-now", "--json").out.splitlines()
    assert [json.loads(line).get("decision_id") for line in lines] == [name, None]
    assert json.loads(lines[-1]) == {"decisions": 2, "allows": 1, "found": 1, "not_judged": 0}


class _Finding(msgspec.Struct):
    rule: str
    codes: list[str]


class _Answer(msgspec.Struct):
    findings: list[_Finding]


# --- evidence ---------------------------------------------------------------------------------------------------------


def test_a_pack_by_ids_or_by_a_query_is_the_same_and_verifies(office: Office) -> None:
    allowed = office.decide()
    office.decide(subject={"type": "person", "id": "nobody"})
    told = office("evidence", allowed, "--output", office.path("one.zip"), "--json")
    assert told.code == 0, told.err
    assert (told.json["records"], told.json["changes"], told.json["books"]) == (1, 1, 1)
    query = "decision=allow&model=mythos-5"
    other = office("evidence", "--query", query, "--asked-by", "ines", "--output", office.path("two.zip"), "--json")
    assert (other.code, other.json["contents"]) == (0, told.json["contents"])
    with zipfile.ZipFile(office.path("two.zip")) as pack:
        asked = json.loads(pack.read("manifest.json"))["asked"]
    assert (asked["by"], asked["filters"]) == ("ines", {"decision": "allow", "model": "mythos-5"})
    assert (asked["ids"], asked["log_size"]) == (None, 4)
    with zipfile.ZipFile(office.path("one.zip")) as pack:
        pack.extract("verify.py", office.folder)
    run = subprocess.run(  # noqa: S603  the program that was just unpacked
        [sys.executable, "-I", office.path("verify.py"), office.path("one.zip"), "--key", office.key()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout.splitlines()[-1]) == (0, "verified: 1 record and 1 change, each in the log")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("ID", "--query", "model=x"), 2),
        (("--query", "colour=red"), 2),
        (("--query", "model=x&model=y"), 2),
        (("--query", "model=never-asked"), 2),
        (("no-such-id",), 1),
    ],
)
def test_a_pack_of_nothing_is_not_written(office: Office, arguments: tuple[str, ...], code: int) -> None:
    office.decide()
    assert office("evidence", *arguments, "--output", office.path("none.zip")).code == code
    assert not list(office.folder.glob("none.zip*"))


@pytest.mark.parametrize("output", ["", "no-such-folder/x.zip", "block"])
def test_an_output_that_is_no_file_is_wrong_usage_and_is_left_as_it_is(office: Office, output: str) -> None:
    name = office.decide()
    path = office.folder / output
    if output == "block":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    told = office("evidence", name, "--output", str(path))
    assert told.code == 2
    assert told.err.startswith(f"--output `{path}` ")
    assert not list(office.folder.glob("**/*.partial"))
    assert output != "block" or path.is_socket()


def test_a_device_is_written_as_it_stands_and_a_full_one_is_a_sentence(office: Office) -> None:
    name = office.decide()
    told = office("evidence", name, "--output", "/dev/full")
    assert (told.code, told.err) == (4, "the output cannot be written: no space left on device\n")
    assert Path("/dev/full").is_char_device()
    assert office("evidence", name, "--output", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()
    assert not Path("/dev/full.partial").exists()


def test_a_directory_in_the_place_of_a_file_is_wrong_usage(office: Office) -> None:
    name = office.decide()
    folder = str(office.folder)
    for arguments in (
        ("verify", "--tiles", office.path("ledger/2026"), "--key", folder),
        ("verify", "--receipt", folder, "--record", folder, "--key", office.key()),
        ("receipt", name, "--output", folder),
    ):
        told = office(*arguments)
        assert (told.code, told.err) == (2, f"`{folder}`: is a directory; name a file\n")


# --- holds and retiring -----------------------------------------------------------------------------------------------


def test_holds_are_placed_listed_and_released_and_a_year_is_retired_when_none_stands(office: Office) -> None:
    name = office.decide()
    office.now = datetime(2036, 11, 21, tzinfo=UTC)
    office.decide()
    with office.served():
        assert office("holds").out == "no legal hold was ever placed\n"
        held = office("hold", "--subject", "person:carol", "--reason", "BIS request", "--json").json
        assert office("holds").out.startswith(f"{held['id']}  held  subject person:carol  dora")
        told = office("retire", "2026", "--reason", "schedule")
        assert told.code == 1
        assert f"decision `{name}` is under hold `{held['id']}`: BIS request" in told.err
        assert office("verify", "--database").code == 0
        told = office("release", held["id"], "--reason", "BIS letter")
        assert (told.code, told.out) == (0, f"{held['id']}: subject person:carol is released\n")
        told = office("retire", "2026", "--reason", "schedule")
        assert told.code == 0, told.err
        assert "2026 is retired since 2036-11-21" in told.out
        assert "1 decisions were removed" in told.out
        assert office("retire", "2026", "--reason", "again", "--json").json == {
            "year": 2026,
            "decisions": 1,
            "removed": 0,
        }
    office.sealing.seal()
    told = office("verify", "--database")
    assert told.code == 0, told.err
    assert "retired: the hashes alone are left" in told.out


RETIRED: Final = "2026 was retired on 2036-11-21T00:00:00.000000Z by the change `"


@pytest.fixture
def retired(office: Office) -> tuple[Office, str]:
    """A log of which 2026 was retired, and the id of a decision that it had."""
    name = office.decide()
    office.now = datetime(2036, 11, 21, tzinfo=UTC)
    office.decide()
    with office.served():
        assert office("retire", "2026", "--reason", "schedule").code == 0
    office.sealing.seal()
    return office, name


@pytest.mark.parametrize("command", ["show", "replay", "receipt"])
def test_a_decision_of_a_retired_year_is_told_to_be_no_longer_kept(retired: tuple[Office, str], command: str) -> None:
    office, name = retired
    told = office(command, name)
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith("no record is kept under this id; by the instant in it, it would be of 2026: ")
    assert RETIRED in told.err
    assert "a receipt that was made before still proves that its record stood there" in told.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("query",),
        ("query", "--stats", "reason"),
        ("query", "--report", "touched:mythos-5"),
        ("query", "--report", "subject-after:carol@2026-12-01"),
        ("export", "--output", "{}"),
    ],
)
def test_what_is_searched_counted_or_exported_says_which_years_are_no_longer_kept(
    retired: tuple[Office, str], arguments: tuple[str, ...]
) -> None:
    office, _ = retired
    command = tuple(one.format(office.path("out.jsonl")) for one in arguments)
    told = office(*command)
    assert told.code == 0
    assert RETIRED in told.err
    assert RETIRED not in told.out
    assert office(*command, "--json").json["retired"] == [2026]
    if "--report" not in command or "touched:mythos-5" in command:
        later = office(*command, "--from", "2027-01-01", "--json")
        assert ("retired" in later.json, later.err) == (False, "")


def test_a_pack_and_a_lookback_say_which_years_are_no_longer_kept(retired: tuple[Office, str]) -> None:
    office, _ = retired
    assert RETIRED in office("evidence", "--query", "model=x", "--output", office.path("x.zip")).err
    assert RETIRED in office("lookback", "--rule", "US-COM-2026-06-12", "--from", "2026-11-01").err


def test_what_needs_a_person_needs_a_key(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLICY_ENGINE_KEY", raising=False)
    for arguments in (("hold", "--all"), ("release", "H"), ("retire", "2026")):
        told = office(*arguments, "--reason", "R")
        assert told.code == 2
        assert "POLICY_ENGINE_KEY" in told.err
        assert "--role auditor" in told.err


def test_a_hold_without_names_is_wrong_usage_and_one_of_a_mistyped_name_is_refused(office: Office) -> None:
    office.decide()
    with office.served():
        told = office("hold", "--reason", "R")
        assert (told.code, "say what is held: --decision" in told.err) == (2, True)
        told = office("hold", "--organisation", "habor-cyber", "--reason", "R")
        assert (told.code, "did you mean `harbor-cyber`?" in told.err) == (1, True)
        told = office("hold", "--model", "mythos-5", "--reason", "R")
        assert (told.code, told.out.splitlines()[1]) == (0, "1 record is held now")
