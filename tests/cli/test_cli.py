"""The command line as its users meet it: what it prints, and how it exits."""

from __future__ import annotations

import io
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policy_engine.cli.main import main
from policy_engine.domain.instants import parse_instant
from policy_engine.formats.membership_file import read_members
from tests.conftest import POLICIES

ALLOWED = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}
DENIED = {
    "subject": {"type": "person", "id": "ken"},
    "model": "opus-4.6",
    "action": "infer",
    "place": {"country": "JP"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs commands in this process, with a database of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str, stdin: str = "") -> Told:
        self._monkeypatch.setattr(sys, "argv", ["policy-engine", *arguments])
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        self._capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        told = self._capsys.readouterr()
        return Told(code=code, out=told.out, err=told.err)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], migrated: Path, tmp_path: Path) -> Shell:
    shutil.copyfile(migrated, tmp_path / "cli.db")
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{tmp_path / 'cli.db'}")
    monkeypatch.setenv("POLICY_ENGINE_POLICIES", str(POLICIES))
    monkeypatch.setenv("COLUMNS", "200")
    return Shell(monkeypatch, capsys)


@pytest.fixture
def filled(shell: Shell) -> Shell:
    assert shell("members", "import", "--offline", "--reason", "test", str(POLICIES / "demo" / "roster.yaml")).code == 0
    return shell


def test_serve_lists_every_setting(shell: Shell) -> None:
    told = shell("serve", "--help").out
    for name in ("DATABASE_URL", "POLICIES", "HOST", "PORT", "URL", "KEY"):
        assert f"POLICY_ENGINE_{name}" in told


@pytest.mark.parametrize("command", ["hold", "holds", "release", "retire"])
def test_a_command_that_goes_through_the_service_names_its_settings_and_the_role(shell: Shell, command: str) -> None:
    told = shell("log", command, "--help").out
    for name in ("POLICY_ENGINE_URL", "POLICY_ENGINE_KEY", "log:hold", "--role auditor"):
        assert name in told


def test_wrong_usage_exits_with_2(shell: Shell) -> None:
    for arguments in (
        ("nonsense",),
        ("decide", "--nonsense"),
        ("keys", "create", "x"),
        ("keys", "create", "x", "--role", "y"),
    ):
        assert shell(*arguments).code == 2
    told = shell("decide", "-", stdin='{"model": 7}')
    assert told.code == 2
    assert "model must be a text" in told.err


def test_a_decision_is_told_with_its_reason_and_recorded(filled: Shell) -> None:
    told = filled("decide", "-", "--record", stdin=json.dumps(ALLOWED))
    assert told.code == 0
    assert "ALLOW" in told.out
    assert "recorded as" in told.out
    assert len(filled("log", "query", "--json").json["decisions"]) == 1
    told = filled("decide", "-", "--json", stdin=json.dumps(DENIED))
    assert told.code == 3
    assert told.json["reason"]["code"] == "OWNERSHIP_CONTROL"


def test_a_decision_is_simulated_unless_it_is_to_be_recorded(filled: Shell) -> None:
    told = filled("decide", "-", stdin=json.dumps(ALLOWED))
    assert told.code == 0
    assert "simulated, not recorded" in told.out
    assert told.err == ""
    assert filled("decide", "-", "--json", stdin=json.dumps(ALLOWED)).json["simulated"]["recorded"] is False
    assert filled("log", "query", "--json").json["decisions"] == []


def test_a_decision_at_another_instant_is_judged_with_what_is_known_now_and_says_so(filled: Shell) -> None:
    told = filled("decide", "-", "--at", "2026-06-13T15:00:00Z", "--json", stdin=json.dumps(ALLOWED))
    assert told.code == 3
    assert told.json["reason"]["code"] == "OPERATOR_SUSPENSION"
    assert told.json["decision_id"] == "simulated"
    assert "nothing was on file before" in told.err
    assert "`--known-at 2026-06-13T15:00:00.000000Z` asks what was known then" in told.err


def test_a_decision_with_what_was_known_before_anything_was_recorded_says_so(filled: Shell) -> None:
    told = filled("decide", "-", "--known-at", "2001-05-13", "--json", stdin=json.dumps(ALLOWED))
    assert told.json["reason"]["code"] == "SUBJECT_UNKNOWN"
    assert "at 2001-05-13T00:00:00.000000Z nobody was on file" in told.err
    assert "without `--known-at` what is known now counts" in told.err


def test_a_decision_on_an_empty_roster_says_that_it_is_empty(shell: Shell) -> None:
    told = shell("decide", "-", "--json", stdin=json.dumps(ALLOWED))
    assert told.json["reason"]["code"] == "SUBJECT_UNKNOWN"
    assert "the roster is empty" in told.err


@pytest.mark.parametrize("option", ["--at", "--known-at"])
def test_an_option_that_takes_an_instant_refuses_what_is_none_and_is_named(filled: Shell, option: str) -> None:
    told = filled("decide", "-", option, "yesterday", stdin=json.dumps(ALLOWED))
    assert told.code == 2
    assert f"'{option}'" in told.err
    assert "write 2026-06-12T21:21:00Z" in " ".join(told.err.replace("│", " ").split())


@pytest.mark.parametrize("option", ["--at", "--known-at"])
def test_no_decision_of_another_instant_is_recorded(filled: Shell, option: str) -> None:
    told = filled("decide", "-", "--record", option, "2026-06-13", stdin=json.dumps(ALLOWED))
    assert told.code == 2
    assert "leave out `--at` and `--known-at`" in told.err


def test_a_database_out_of_reach_exits_with_4(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}")
    assert shell("decide", "-", stdin=json.dumps(ALLOWED)).code == 4
    assert shell("members", "export").code == 4


def test_the_shipped_book_passes_its_check_and_its_cases(shell: Shell) -> None:
    told = shell("policy", "check", "--json")
    assert told.code == 0
    assert told.json["ok"] is True
    told = shell("policy", "test")
    assert told.code == 0
    assert "cases hold" in told.out


def test_a_book_with_faults_names_them_and_exits_with_1(shell: Shell, tmp_path: Path) -> None:
    shutil.copytree(POLICIES, tmp_path / "policies")
    file = tmp_path / "policies" / "rules" / "vendor.csv"
    file.write_text(file.read_text().replace("VENDOR-REGION,vendor,deny", "VENDOR-REGION,vendor,Deny"))
    told = shell("policy", "check", "--policies", str(tmp_path / "policies"))
    assert told.code == 1
    assert "rules/vendor.csv:" in told.err
    assert "`Deny`" in told.err
    told = shell("policy", "check", "--policies", str(tmp_path / "policies"), "--json")
    assert told.code == 1
    assert told.json["faults"][0]["file"] == "rules/vendor.csv"


def test_a_folder_without_a_case_fails(shell: Shell, tmp_path: Path) -> None:
    told = shell("policy", "test", "--cases", str(tmp_path))
    assert told.code == 1
    assert "no case" in told.err


def test_a_case_that_fails_is_told_with_what_came(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(
        "- id: X1\n  title: nobody may\n  at: 2026-11-20T12:00:00Z\n"
        "  request: {subject: {type: person, id: nobody}, model: opus-4.6, action: infer}\n"
        "  expect: {decision: allow}\n"
    )
    told = shell("policy", "test", "--cases", str(tmp_path))
    assert told.code == 1
    assert "decision: expected allow, came deny" in told.err


def test_what_is_exported_is_what_was_imported(filled: Shell, tmp_path: Path) -> None:
    exported = filled("members", "export").out
    rows = read_members(exported.encode(), "export")
    assert len(rows.organisations) == 27
    again = tmp_path / "again.yaml"
    again.write_text(exported)
    told = filled("members", "import", "--offline", "--reason", "test", str(again), "--json")
    assert (told.code, told.json["added"]) == (0, 0)
    shown = filled("members", "show", "harbor-cyber")
    assert shown.code == 0
    assert "key-harbor" in shown.out
    assert filled("members", "show", "nobody").code == 1


def test_a_change_of_a_row_past_the_service_is_asked_for_and_told_with_the_state_after_it(filled: Shell) -> None:
    suspend = ("members", "suspend", "harbor-cyber", "glasswing", "--from", "2026-11-30")

    assert (refused := filled(*suspend)).code == 2
    assert "--offline and --reason" in refused.err
    assert (unexplained := filled(*suspend, "--offline")).code == 2
    assert "--reason TEXT" in unexplained.err
    assert filled("members", "suspend", "nobody", "glasswing", "--from", "now", "--offline").code == 2

    done = filled(*suspend, "--offline", "--reason", "the member asked for it")

    assert done.code == 0
    assert "harbor-cyber in glasswing: active 2026-04-07 to 2026-11-30, suspended from 2026-11-30" in done.out
    assert "the membership is at revision 2" in done.out
    again = filled(*suspend, "--offline", "--reason", "twice")
    assert again.code == 1
    assert "suspended at 2026-11-30T00:00:00.000000Z already" in again.err
    missing = filled("members", "retract", "membership", "harbor-cybr", "--offline", "--reason", "r")
    assert missing.code == 1
    assert "did you mean `harbor-cyber`?" in missing.err


def test_an_import_tells_the_state_after_it_and_a_dry_run_records_nothing(filled: Shell, tmp_path: Path) -> None:
    file = tmp_path / "more.yaml"
    file.write_text("people: [{id: carol, permanent_residencies: [{country: CA}]}]\n")
    offline = ("members", "import", str(file), "--offline", "--reason", "set-up")

    rehearsed = filled(*offline, "--dry-run")
    told = filled(*offline)
    again = filled(*offline)

    assert "it would be revision 2" in rehearsed.out
    assert "permanent residency of carol {country: CA" in told.out
    assert "rows added" not in told.out
    assert "nothing new: what is on file at revision 2 says so already" in again.out
    shown = filled("members", "show", "carol", "--json").json["people"][0]
    assert [row["country"] for row in shown["permanent_residencies"]] == ["CA"]
    assert shown["us_status"]


def test_a_broken_membership_file_exits_with_1_and_names_the_place(filled: Shell, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("organisations:\n- {id: x, incorporated: UK}\n")
    told = filled("members", "import", "--offline", "--reason", "test", str(file))
    assert told.code == 1
    assert ":2:" in told.err
    assert "`UK`" in told.err
    assert "nothing was changed" in told.err


def test_an_import_warns_of_a_large_tangle_of_owners_and_says_what_it_does(filled: Shell, tmp_path: Path) -> None:
    ring = [f"ring-{place:03}" for place in range(100)]
    file = tmp_path / "tangle.json"
    file.write_text(
        json.dumps(
            {
                "organisations": [{"id": name} for name in ring],
                "ownership": [
                    {"owner": ring[place - 1], "owned": owned, "percent": "40"} for place, owned in enumerate(ring)
                ],
            }
        )
    )
    told = filled("members", "import", "--offline", "--reason", "test", str(file))
    assert told.code == 0
    for words in ("ownership of 100 companies forms one tangle", "`ring-000`", "OWNERSHIP_UNRESOLVED"):
        assert words in " ".join(told.err.split())


def test_keys_are_made_listed_and_revoked(shell: Shell) -> None:
    made = shell("keys", "create", "main gateway", "--role", "gateway", "--gateway", "main", "--json").json
    assert made["token"].startswith(f"pe_{made['id']}_")
    listed = shell("keys", "list", "--json").json
    assert [key["id"] for key in listed] == [made["id"]]
    assert made["token"].rpartition("_")[2] not in json.dumps(listed)
    assert "main gateway" in shell("keys", "list").out
    assert shell("keys", "revoke", made["id"]).code == 0
    assert shell("keys", "revoke", made["id"]).code == 1
    assert shell("keys", "list", "--json").json[0]["revoked_at"] is not None


def test_the_schema_is_brought_up_once(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert shell("db", "current").code == 0
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{tmp_path / 'new' / 'fresh.db'}")
    assert shell("db", "upgrade").code == 0
    assert shell("db", "upgrade").code == 0
    told = shell("db", "current", "--json").json
    assert told["current"] == told["newest"]


def test_the_demonstration_walks_june_2026(shell: Shell) -> None:
    told = shell("demo", "--json")
    assert told.code == 0
    walk = {
        (parse_instant(step["instant"]), one["person"]): [answer["decision"] for answer in one["answers"]]
        for step in told.json
        for one in step["answers"]
    }
    june = [
        parse_instant(f"2026-{day}")
        for day in ("06-10T15:00:00Z", "06-13T15:00:00Z", "06-27T15:00:00Z", "07-01T15:00:00Z")
    ]
    assert [walk[instant, "alice"] for instant in june] == [["allow"] * 2, ["deny"] * 2, ["deny"] * 2, ["allow"] * 2]
    assert [walk[instant, "mei"] for instant in june] == [["allow"] * 2, ["deny"] * 2, ["allow", "deny"], ["allow"] * 2]
    assert [walk[instant, "carol"] for instant in june] == [["allow"] * 2, ["deny"] * 2, ["deny"] * 2, ["allow"] * 2]
    text = shell("demo").out
    assert "60 decisions were made and recorded" in text


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("DATABASE_URL", "nonsense", "the database URL cannot be read"),
        ("DATABASE_URL", "sqlite://", "SQLite needs a file"),
        ("DATABASE_URL", "mysql://h/d", "`mysql` is neither sqlite nor postgresql"),
        ("PORT", "abc", "is `abc`: input should be a valid integer"),
        ("LOG_LEVEL", "loud", "is `loud`: write debug, info, warning, error"),
        ("LOG_ORIGIN", "our log", "is `our log`: a key name is not empty and has neither spaces nor `+`: write a name"),
        ("LOG_ORIGIN", "example.com/a+b", "write a name such as `example.com/log`"),
        ("LOG_ORIGIN", "", "a key name is not empty"),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("members", "export"), ("log", "verify"), ("db", "current")], ids=str)
def test_a_setting_that_cannot_be_read_is_named_in_a_sentence_and_is_wrong_usage(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], name: str, value: str, why: str
) -> None:
    monkeypatch.setenv(f"POLICY_ENGINE_{name}", value)
    told = shell(*command)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"POLICY_ENGINE_{name}")
    assert why in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("members", "export"),
        ("keys", "list"),
        ("db", "current"),
        ("log", "verify"),
        ("log", "replay", "X"),
        ("log", "evidence", "X", "--output", "x.zip"),
    ],
    ids=str,
)
def test_a_mistyped_path_of_the_database_is_told_and_no_file_is_made(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    path = tmp_path / "mistyped.db"
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", f"sqlite:///{path}")
    told = shell(*command)
    assert (told.code, told.out) == (4, "")
    assert f"there is no database at `{path}`" in told.err
    assert not path.exists()
