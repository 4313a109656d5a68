"""The commands that need a person: against a real service on a port, as its users run them."""

from __future__ import annotations

import secrets
import shlex
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import uvicorn

from policy_engine.app.builder import Parts, build
from policy_engine.app.settings import Settings
from policy_engine.asgi import create_app
from policy_engine.policy.cases import desk_folder
from policy_engine.service.gate.keyring import RIGHTS
from tests.api.desks import FAULTY, OVERLOOKED, ROSTER, SMALL, TRIED, WITHOUT_CONSORTIUM, overlook
from tests.cli.test_cli import Shell, Told
from tests.conftest import SMALL_BOOK

CAROL = (
    '{"subject": {"type": "person", "id": "carol"}, "model": "mythos-5", "action": "infer",'
    ' "purpose": "PURPOSE", "place": {"country": "US"}}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A running service, and a shell whose environment names it."""

    shell: Shell
    parts: Parts
    monkeypatch: pytest.MonkeyPatch

    def key(self, person: str | None, *rights: str) -> str:
        """A token of a fresh key."""
        made = self.parts.ring.create(
            name="test",
            rights=rights or RIGHTS,
            at=self.parts.desk.clock(),
            random_hex=secrets.token_hex,
            gateway="main",
            person=person,
        )
        return made.token

    def run(self, person: str, *arguments: str) -> Told:
        """A command of a person."""
        self.monkeypatch.setenv("POLICY_ENGINE_KEY", self.key(person))
        return self.shell(*arguments)

    def decide(self, purpose: str = "defensive_cybersecurity") -> Told:
        return self.shell("decide", "-", "--record", "--json", stdin=CAROL.replace("PURPOSE", purpose))


@pytest.fixture
def desk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], migrated: Path, tmp_path: Path
) -> Iterator[Desk]:
    shutil.copyfile(migrated, tmp_path / "desk.db")
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    parts = build(Settings(database_url=url, policies=SMALL_BOOK))
    parts.members.record(ROSTER, actor="test", reason="test", at=parts.desk.clock())
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(parts), log_level="critical", http="h11", loop="asyncio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    monkeypatch.setenv("POLICY_ENGINE_DATABASE_URL", url)
    monkeypatch.setenv("POLICY_ENGINE_POLICIES", str(SMALL_BOOK))
    monkeypatch.setenv("POLICY_ENGINE_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
    monkeypatch.setenv("COLUMNS", "250")
    try:
        yield Desk(shell=Shell(monkeypatch, capsys), parts=parts, monkeypatch=monkeypatch)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listening.close()


def _folder(tmp_path: Path, files: dict[str, str]) -> str:
    folder = tmp_path / "book"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    return str(folder)


def test_a_book_of_which_pycasbin_judges_an_example_otherwise_is_neither_proposed_nor_approved(
    desk: Desk, tmp_path: Path
) -> None:
    folder = _folder(tmp_path, TRIED)
    with pytest.MonkeyPatch.context() as faulty:
        overlook(faulty, OVERLOOKED)
        told = desk.run("dora", "policy", "propose", folder, "--note", "counsel")
        assert told.code == 1
        assert f"cases/one.yaml:7:1: pycasbin judges case `TWO` differently: rule `{OVERLOOKED}`" in told.err
        tried = desk.shell("policy", "test", "--policies", folder)
        assert tried.code == 1
        assert f"rule `{OVERLOOKED}`, for the subject `person:ann`" in tried.err
        document = desk.shell("policy", "test", "--policies", folder, "--json").json["second_judge"]
        assert (document["agrees"], len(document["differences"])) == (False, 1)
        assert desk.run("egon", "policy", "show", "--json").json["proposals"] == []
    assert desk.shell("policy", "test", "--policies", folder).code == 0
    assert desk.run("dora", "policy", "propose", folder, "--note", "counsel").code == 0
    (proposal,) = desk.run("dora", "policy", "show", "--json").json["proposals"]
    cases = next(one["digest"] for one in proposal["reports"] if one["name"] == "cases")
    assert desk.run("egon", "policy", "approve", proposal["id"], "--note", "read", "--cases", cases).code == 0


def test_a_book_is_proposed_and_shown_and_approved_by_another_and_rolled_back(desk: Desk, tmp_path: Path) -> None:
    folder = _folder(tmp_path, WITHOUT_CONSORTIUM)
    before = desk.run("dora", "policy", "show", "--json").json["in_force"]["fingerprint"]
    told = desk.run("dora", "policy", "propose", folder, "--note", "counsel")
    assert told.code == 0, told.err
    assert "1 worked examples, all hold" in told.out
    (proposal,) = desk.run("dora", "policy", "show", "--json").json["proposals"]
    name = proposal["id"]
    assert f"policy-engine policy approve {name}" in told.out
    shown = desk.run("dora", "policy", "show", name)
    assert "by dora" in shown.out
    assert "IN SHORT" in shown.out
    page = tmp_path / "proposal.html"
    assert desk.run("dora", "policy", "show", name, "--html", str(page)).code == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    whole = desk.run("dora", "policy", "show", name, "--report", "whole").json
    assert whole["proposal"] == name
    report = desk.run("dora", "policy", "show", name, "--report", "cases").json
    assert report["held"] == ["ONE"]
    own = desk.run("dora", "policy", "approve", name)
    assert own.code == 1
    assert "This needs another person" in own.err
    assert desk.decide().code == 0
    blind = desk.run("egon", "policy", "approve", name, "--note", "it's read")
    assert (blind.code, blind.out) == (1, "")
    removed = desk.run("dora", "policy", "show", name, "--report", "cases").json["removed"]
    assert f"{len(removed)} removed: {', '.join(removed)}" in blind.err
    command = blind.err.splitlines()[-1].partition("policy-engine ")[2]
    assert desk.decide().code == 0
    assert shlex.split(command)[:3] == ["policy", "approve", name]
    approved = desk.run("egon", *shlex.split(command))
    assert approved.code == 0, approved.err
    assert "acknowledged" in approved.out
    assert desk.decide().code == 3
    table = desk.run("egon", "policy", "show").out
    for word in (before, proposal["fingerprint"], name, "dora", "egon", "founding"):
        assert word in table
    files = desk.run("egon", "policy", "show", proposal["fingerprint"], "--json").json["files"]
    assert files == WITHOUT_CONSORTIUM
    assert "rules/vendor.csv" in desk.run("egon", "policy", "show", proposal["fingerprint"]).out
    back = desk.run("dora", "policy", "rollback", before, "--note", "denies too much", "--json")
    assert (back.code, back.json["rollback"]) == (0, True)
    assert desk.run("egon", "policy", "approve", back.json["id"]).code == 1
    (cases,) = (report["digest"] for report in back.json["reports"] if report["name"] == "cases")
    returned = desk.run("egon", "policy", "approve", back.json["id"], "--cases", cases)
    assert returned.code == 0, returned.err
    assert desk.decide().code == 0


def test_a_book_is_fetched_from_the_service_byte_for_byte(desk: Desk, tmp_path: Path) -> None:
    fingerprint = desk.run("dora", "policy", "show", "--json").json["in_force"]["fingerprint"]
    told = desk.run("dora", "policy", "fetch", fingerprint, str(tmp_path / "fetched"))
    assert told.code == 0, told.err
    assert desk_folder(tmp_path / "fetched") == desk_folder(SMALL_BOOK)
    assert desk.run("dora", "policy", "show", fingerprint, "--html", str(tmp_path / "x.html")).code == 2
    assert desk.run("dora", "policy", "show", "--html", str(tmp_path / "x.html")).code == 2


def test_a_book_for_later_is_scheduled_and_withdrawn(desk: Desk, tmp_path: Path) -> None:
    folder = _folder(tmp_path, WITHOUT_CONSORTIUM)
    options = ("--note", "x", "--effective", "2099-01-01T00:00:00Z", "--since", "2026-11-01", "--json")
    name = desk.run("dora", "policy", "propose", folder, *options).json["id"]
    (cases,) = (
        report["digest"]
        for report in desk.run("egon", "policy", "show", name, "--json").json["reports"]
        if report["name"] == "cases"
    )
    assert desk.run("egon", "policy", "approve", name, "--cases", "sha256:0").code == 1
    assert desk.run("egon", "policy", "approve", name, "--cases", cases, "--json").json["status"] == "scheduled"
    (tmp_path / "book" / "settings.yaml").write_text(SMALL["settings.yaml"].replace("other: 30", "other: 20"))
    clash = desk.run("dora", "policy", "propose", folder, "--note", "x")
    assert clash.code == 1
    assert name in clash.err
    other = desk.run("dora", "policy", "propose", folder, "--note", "x", "--withdraw", name, "--json").json["id"]
    assert desk.run("egon", "policy", "approve", other, "--cases", cases).code == 0
    assert "withdrawn" in desk.run("dora", "policy", "show", name).out


def test_a_book_with_faults_is_refused_with_their_places(desk: Desk, tmp_path: Path) -> None:
    told = desk.run("dora", "policy", "propose", _folder(tmp_path, FAULTY), "--note", "x")
    assert told.code == 1
    assert "The book is not accepted" in told.err
    assert "rules/vendor.csv:" in told.err
    assert "`Deny`" in told.err
    (tmp_path / "book" / "rules" / "vendor.csv").write_bytes(b"\xff\xfe")
    told = desk.run("dora", "policy", "propose", str(tmp_path / "book"), "--note", "x")
    assert told.code == 1
    assert "not UTF-8" in told.err
    assert desk.run("dora", "policy", "propose", str(tmp_path / "nowhere"), "--note", "x").code == 1


def test_something_is_frozen_by_one_and_unfrozen_by_two(desk: Desk) -> None:
    assert desk.decide().code == 0
    frozen = desk.run("dora", "freeze", "--model", "mythos-5", "--authority", "CCO", "--reason", "order", "--json")
    assert frozen.code == 0
    name = frozen.json["id"]
    assert desk.decide().json["reason"]["code"] == "OPERATOR_SUSPENSION"
    shown = desk.run("dora", "policy", "show").out
    assert name in shown
    assert "model mythos-5" in shown
    asked = desk.run("dora", "unfreeze", name, "--reason", "over")
    assert asked.code == 0
    assert f"policy-engine unfreeze {name}" in asked.out
    assert desk.run("dora", "unfreeze", name).code == 1
    assert desk.decide().code == 3
    lifted = desk.run("egon", "unfreeze", name)
    assert lifted.code == 0
    assert "is no longer frozen" in lifted.out
    assert desk.decide().code == 0


def test_a_freeze_says_all_of_its_scope(desk: Desk) -> None:
    told = desk.run(
        "dora",
        *("freeze", "--country", "KP", "--country", "IR", "--organisation", "harbor-cyber", "--gateway", "main"),
        *("--authority", "CCO", "--reason", "order", "--until", "2099-01-01"),
    )
    assert told.code == 0
    assert "country IR or KP, organisation harbor-cyber, gateway main is frozen until 2099-01-01T00:00:00Z" in told.out
    everything = desk.run("dora", "freeze", "--all", "--authority", "CCO", "--reason", "order")
    assert "everything is frozen" in everything.out
    missed = desk.run("dora", "freeze", "--model", "mythos", "--authority", "CCO", "--reason", "order")
    assert missed.code == 1
    assert "did you mean `mythos-5`?" in missed.err


def test_a_review_is_listed_shown_and_refused(desk: Desk) -> None:
    assert "no case is waiting" in desk.run("dora", "reviews", "list").out
    assert desk.decide("pentest_own_product").json["hold"] is True
    listed = desk.run("dora", "reviews", "list", "--json").json["reviews"]
    (case,) = [one["id"] for one in listed]
    assert case in desk.run("dora", "reviews", "list").out
    shown = desk.run("dora", "reviews", "show", case).out
    for word in ("person:carol", "GLASSWING-PURPOSE-REVIEW", "PURPOSE_NEEDS_REVIEW", "what lifts it"):
        assert word in shown
    assert desk.run("dora", "reviews", "close", case, "--outcome", "refuse").code == 1
    assert desk.run("dora", "reviews", "close", case, "--outcome", "perhaps").code == 2
    closed = desk.run("dora", "reviews", "close", case, "--outcome", "refuse", "--rationale", "not theirs")
    assert closed.code == 0
    assert "refused" in closed.out
    assert case not in desk.run("dora", "reviews", "list").out
    assert case in desk.run("dora", "reviews", "list", "--all").out


def test_a_match_is_released_with_the_rows_that_show_gives(desk: Desk, tmp_path: Path) -> None:
    match = tmp_path / "match.yaml"
    match.write_text(
        "listings:\n- {party: harbor-cyber, list: EL, entry: Harbour Cyber Co., entry_version: '2026-11-01',"
        " reference: x, status: potential, cleared_version: null, from: 2026-01-01, to: null}\n"
    )
    assert desk.shell("members", "import", "--offline", "--reason", "test", str(match)).code == 0
    assert desk.decide().json["hold"] is True
    (case,) = [one["id"] for one in desk.run("dora", "reviews", "list", "--json").json["reviews"]]
    clearance = tmp_path / "clearance.yaml"
    clearance.write_text(desk.run("dora", "reviews", "show", case, "--json").json["clearance"])
    shown = desk.run("dora", "reviews", "show", case).out
    assert 'status: cleared, cleared_version: "2026-11-01"' in shown
    close = ("reviews", "close", case, "--outcome", "release")
    asked = desk.run("dora", *close, "--rationale", "another company", "--members", str(clearance))
    assert asked.code == 0, asked.err
    assert "another person has to confirm it" in asked.out
    assert "listing {party: harbor-cyber" in asked.out
    blind = desk.run("egon", *close)
    assert blind.code == 2
    assert "listing {party: harbor-cyber" in blind.err
    digest = desk.run("egon", "reviews", "show", case, "--json").json["rows"]["digest"]
    assert f"--rows {digest}" in blind.err
    assert desk.run("dora", *close, "--rows", digest).code == 1
    assert desk.run("egon", *close, "--rows", "sha256:0").code == 1
    released = desk.run("egon", *close, "--rows", digest)
    assert released.code == 0, released.err
    assert "released" in released.out
    assert "these rows went on file" in released.out
    assert desk.decide().code == 0


def test_a_key_that_may_not_is_told_why(desk: Desk) -> None:
    desk.monkeypatch.setenv("POLICY_ENGINE_KEY", desk.key(None))
    told = desk.shell("freeze", "--all", "--authority", "CCO", "--reason", "order")
    assert told.code == 1
    assert "bound to a person" in told.err
    desk.monkeypatch.setenv("POLICY_ENGINE_KEY", desk.key("dora", "decide"))
    told = desk.shell("policy", "show")
    assert told.code == 1
    assert "the right `policy:read` is needed" in told.err
    for wrong in ("pe_x_y", "line\nbreak", "ключ"):
        desk.monkeypatch.setenv("POLICY_ENGINE_KEY", wrong)
        told = desk.shell("policy", "show")
        assert told.code in (1, 2)
        assert wrong not in told.err + told.out


def test_wrong_usage_exits_with_2(desk: Desk) -> None:
    desk.monkeypatch.delenv("POLICY_ENGINE_KEY", raising=False)
    told = desk.shell("policy", "show")
    assert told.code == 2
    assert "POLICY_ENGINE_KEY" in told.err
    assert desk.run("dora", "policy", "show", "--report", "check").code == 2
    told = desk.run("dora", "freeze", "--all", "--authority", "CCO", "--reason", "x", "--until", "later")
    assert told.code == 2
    assert "until" in told.err
    assert desk.run("dora", "freeze", "--all").code == 2
    for url in ("127.0.0.1:8181", "ftp://127.0.0.1", "http://", "http://127.0.0.1:x"):
        desk.monkeypatch.setenv("POLICY_ENGINE_URL", url)
        assert desk.run("dora", "policy", "show").code == 2


def test_a_service_that_is_not_there_exits_with_4(desk: Desk) -> None:
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    desk.monkeypatch.setenv("POLICY_ENGINE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
    told = desk.run("dora", "policy", "show")
    closed.close()
    assert told.code == 4
    assert "cannot be reached" in told.err


class _Elsewhere(BaseHTTPRequestHandler):
    """Another kind of service: it sends whoever asks away, or answers what no policy engine does."""

    seen: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.seen.append(self.headers["Authorization"])
        answers = {"/moved": (302, b""), "/page": (200, b"<html>"), "/busy": (503, b"<html>")}
        status, body = answers.get(self.path.removesuffix("/policy"), (200, b"{}"))
        self.send_response(status)
        self.send_header("Location", "/policy")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("path", "code"), [("/moved", 1), ("/page", 4), ("/busy", 4), ("/empty", 4)])
def test_another_service_is_no_policy_engine_and_the_key_follows_no_redirection(
    desk: Desk, path: str, code: int
) -> None:
    _Elsewhere.seen.clear()
    server = HTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        desk.monkeypatch.setenv("POLICY_ENGINE_URL", f"http://127.0.0.1:{server.server_port}{path}")
        assert desk.run("dora", "policy", "show").code == code
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(_Elsewhere.seen) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("policy", "propose"),
        ("policy", "approve"),
        ("policy", "withdraw"),
        ("members", "withdraw"),
        ("policy", "rollback"),
        ("policy", "show"),
        ("freeze",),
        ("unfreeze",),
        ("reviews", "list"),
        ("reviews", "show"),
        ("reviews", "close"),
    ],
    ids=" ".join,
)
def test_a_command_explains_itself_with_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    told = Shell(monkeypatch, capsys)(*command, "--help")
    assert told.code == 0
    assert f"Example: policy-engine {' '.join(command)}" in told.out
    assert "--json" in told.out


SUSPENDED = "memberships:\n- {organisation: harbor-cyber, consortium: glasswing, from: 2026-04-07, status: suspended}\n"
NEWCOMER = "memberships:\n- {organisation: prairie-retail, consortium: glasswing, from: 2026-11-01, status: active}\n"


def test_a_file_of_members_goes_through_the_service_and_a_second_person_approves_what_widens(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "newcomer.yaml"
    file.write_text(NEWCOMER)
    imported = ("members", "import", str(file))
    preview = desk.run("dora", *imported, "--dry-run")
    assert preview.code == 0, preview.err
    assert "nothing was recorded" in preview.out
    assert "gains: person:pat (prairie-retail) mythos-5" in preview.out
    assert desk.run("dora", *imported).code == 2
    told = desk.run("dora", *imported, "--reason", "contract")
    assert told.code == 0, told.err
    assert "may widen, since it makes an organisation a member" in told.out
    (change,) = desk.run("egon", "members", "changes", "--json").json["changes"]
    shown = desk.run("egon", "members", "changes", change["id"], "--json").json["shown"]
    assert f"members approve {change['id']} --shown {shown}" in told.out
    assert desk.run("dora", "members", "approve", change["id"], "--shown", shown).code == 1
    blind = desk.run("egon", "members", "approve", change["id"])
    assert (blind.code, "gains: person:pat" in blind.out, f"--shown {shown}" in blind.err) == (2, True, True)
    approved = desk.run("egon", "members", "approve", change["id"], "--shown", shown)
    assert (approved.code, "on file" in approved.out) == (0, True), approved.err
    assert change["id"] in desk.run("dora", "members", "changes").out
    assert "nothing new" in desk.run("dora", *imported, "--reason", "contract").out


def test_a_change_of_members_that_waits_is_withdrawn_by_command(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "newcomer.yaml"
    file.write_text(NEWCOMER)
    waiting = desk.run("dora", "members", "import", str(file), "--reason", "contract", "--json").json
    assert desk.run("dora", "members", "withdraw", waiting["id"]).code == 2
    told = desk.run("dora", "members", "withdraw", waiting["id"], "--reason", "not signed")
    assert told.code == 0, told.err
    assert "withdrawn: nothing of it is on file" in told.out
    assert "by dora at " in told.out
    late = desk.run("egon", "members", "approve", waiting["id"], "--shown", waiting["shown"])
    assert (late.code, "was withdrawn by `dora`" in late.err) == (1, True)
    assert "withdrawn" in desk.run("egon", "members", "changes").out


def test_a_member_is_suspended_at_once_by_one_person_and_resumed_by_two(desk: Desk) -> None:
    assert desk.decide().code == 0
    suspended = desk.run(
        "dora", "members", "suspend", "harbor-cyber", "glasswing", "--from", "2026-11-19", "--reason", "x"
    )
    assert (suspended.code, "loses: person:carol" in suspended.out) == (0, True), suspended.err
    assert desk.decide().code == 3
    resume = ("members", "resume", "harbor-cyber", "glasswing", "--from", "2026-11-20", "--reason", "x", "--json")
    waiting = desk.run("dora", *resume).json
    assert (waiting["status"], desk.decide().code) == ("waits", 3)
    assert desk.run("egon", "members", "approve", waiting["id"], "--shown", waiting["shown"]).code == 0
    assert desk.decide().code == 0


def test_without_a_service_a_change_of_members_says_what_to_do(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "suspended.yaml"
    file.write_text(SUSPENDED)
    desk.monkeypatch.delenv("POLICY_ENGINE_URL")
    for command in (("import", str(file)), ("suspend", "harbor-cyber", "glasswing", "--from", "2026-11-19")):
        told = desk.run("dora", "members", *command, "--reason", "x")
        assert (told.code, "--offline" in told.err, "POLICY_ENGINE_URL" in told.err) == (2, True, True)
        assert desk.shell("members", *command, "--offline").code == 2
    assert desk.decide().code == 0
