"""Rosters in spreadsheets on the command line: through the service and past it, with every fault at its cell."""

from __future__ import annotations

from pathlib import Path

from tests.cli.test_cli import Shell, shell  # noqa: F401  fixtures
from tests.cli.test_desk import Desk, desk  # noqa: F401

PEOPLE = "id;employments.organisation;employments.kind;citizenships.country\n0017;harbor-cyber;employee;DE\n"


def roster(tmp_path: Path, text: str = PEOPLE, name: str = "people.csv") -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_roster_goes_through_the_service_and_waits_for_a_second_person(desk: Desk, tmp_path: Path) -> None:  # noqa: F811
    told = desk.run("dora", "members", "import", roster(tmp_path), "--reason", "new staff", "--json")

    assert told.code == 0, told.err
    assert told.json["status"] == "waits"
    change = told.json["id"]
    approved = desk.run("egon", "members", "approve", change, "--shown", told.json["shown"])
    assert approved.code == 0, approved.err
    assert "0017" in desk.parts.gate.view.refresh().roster.people


def test_what_the_service_finds_wrong_with_a_roster_is_told_at_its_cell(desk: Desk, tmp_path: Path) -> None:  # noqa: F811
    wrong = PEOPLE.replace("harbor-cyber", "harbour-cyber")

    told = desk.run("dora", "members", "import", roster(tmp_path, wrong), "--reason", "new staff")

    assert told.code == 1
    assert "people.csv:B2: the organisation `harbour-cyber` is not on file; did you mean `harbor-cyber`?" in told.err


def test_what_is_wrong_with_a_cell_is_told_before_anything_is_sent(desk: Desk, tmp_path: Path) -> None:  # noqa: F811
    desk.monkeypatch.setenv("POLICY_ENGINE_URL", "http://127.0.0.1:9")

    told = desk.run("dora", "members", "import", roster(tmp_path, PEOPLE + "0018;x\n"), "--reason", "new staff")

    assert told.code == 1
    assert "people.csv:A3: the row has 2 cells and the header 4" in told.err


def test_a_roster_is_imported_past_the_service_for_set_up(shell: Shell, tmp_path: Path) -> None:  # noqa: F811
    data = "id,headquarters,reseller\nnew-co,DE,false\n"

    told = shell("members", "import", roster(tmp_path, data, "organisations.csv"), "--offline", "--reason", "set-up")

    assert told.code == 0, told.err
    assert "headquarters: DE" in shell("members", "show", "new-co").out


def test_a_mapping_beside_a_membership_file_is_refused(shell: Shell, tmp_path: Path) -> None:  # noqa: F811
    plain, mapping = roster(tmp_path, "organisations: []\n", "r.yaml"), roster(tmp_path, "tables: []\n", "m.yaml")

    told = shell("members", "import", plain, "--mapping", mapping, "--offline", "--reason", "set-up")

    assert told.code == 2
    assert "--mapping is for rosters in .csv, .tsv, .xlsx" in told.err
