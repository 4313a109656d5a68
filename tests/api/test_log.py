"""The sealed log over HTTP: proofs that verify, decisions made again, holds that stand, and years that are gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.roster import RosterRows, UsStatus, UsStatusKind
from policy_engine.ledger.checkpoint import open_checkpoint
from policy_engine.ledger.note import VerifierKey
from policy_engine.ledger.proof import Receipt
from policy_engine.ledger.verify import verify_log
from policy_engine.service.audit.retention import remove_retired
from policy_engine.service.gate.keyring import RIGHTS
from policy_engine.store.database import open_database, writing
from policy_engine.store.retirement import Retirement
from tests.api.sealed import ORIGIN, Person, Sealed, sealed_service

BEGIN: Final = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
MUCH_LATER: Final = datetime(2036, 6, 30, tzinfo=UTC)


@pytest.fixture
def sealed(migrated: Path, tmp_path: Path) -> Iterator[Sealed]:
    with sealed_service(migrated, tmp_path, at=BEGIN) as made:
        yield made


class _OverHttp:
    """The resources of a year, as an auditor's verifier fetches them."""

    def __init__(self, person: Person, year: int) -> None:
        self._person, self._year = person, year

    def read(self, path: str) -> bytes | None:
        answer = self._person.get(f"/log/{self._year}/{path}")
        return answer.content if answer.status_code == 200 else None


def test_an_auditor_verifies_the_whole_log_and_a_receipt_over_http(sealed: Sealed) -> None:
    name = sealed.decide()
    sealed.seal()
    auditor = sealed.person(None, "decisions:read")
    (year,) = auditor.get("/log/years").json()["years"]
    assert (year["year"], year["first_index"], year["retired_at"]) == (2026, 0, None)
    key = VerifierKey.parse(year["key"])
    verified = verify_log(_OverHttp(auditor, 2026), key)
    newest = auditor.get("/log/checkpoint")
    assert open_checkpoint(newest.content, key) == verified.signed
    assert newest.headers["content-type"] == "text/plain; charset=utf-8"
    receipt = Receipt.parse(auditor.get(f"/log/proof/{name}").content)
    record = auditor.get(f"/decisions/{name}").content
    assert receipt.verify(record, key).checkpoint.origin == f"{ORIGIN}/2026"


def test_tiles_never_change_and_checkpoints_do(sealed: Sealed) -> None:
    sealed.decide()
    sealed.seal()
    assert "immutable" in sealed.officer.get("/log/2026/tile/0/000.p/4").headers["cache-control"]
    assert sealed.officer.get("/log/2026/checkpoint").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/log/2026/tile/0/999",
        "/log/2026/../2026.witness",
        "/log/2026/.lock",
        "/log/2019/checkpoint",
        "/log/proof/none",
        "/log/proof/%00",
    ],
)
def test_what_the_log_does_not_have_is_not_found(sealed: Sealed, path: str) -> None:
    sealed.decide()
    sealed.seal()
    assert sealed.officer.get(path).status_code == 404


def test_before_anything_is_sealed_there_is_nothing_and_a_proof_comes_later(sealed: Sealed) -> None:
    name = sealed.decide()
    assert sealed.officer.get("/log/checkpoint").status_code == 404
    assert "not sealed yet" in sealed.officer.get(f"/log/proof/{name}").json()["detail"]


def alter(sealed: Sealed, *statements: str) -> None:
    """What only the owner of the tables can do."""
    engine = open_database(sealed.url)
    with writing(engine) as writer:
        for (name,) in writer.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            writer.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            writer.exec_driver_sql(statement)
    engine.dispose()


def test_a_proof_of_a_record_that_was_altered_is_refused_with_a_problem_of_its_own(sealed: Sealed) -> None:
    name = sealed.decide()
    sealed.seal()
    alter(sealed, "UPDATE decisions SET body = x'7b7d'")
    answer = sealed.officer.get(f"/log/proof/{name}")
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/entry-altered")
    assert "in the database is not the one that was sealed" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("damage", "path"),
    [
        ("checkpoint", "/log/checkpoint"),
        ("checkpoint", "/log/2026/checkpoint"),
        ("checkpoint", "/log/proof/{name}"),
        ("tile/0/000.p/4", "/log/proof/{name}"),
        ("tile/0/000.p/4", "/log/2026/tile/0/000.p/4"),
        ("tile/entries/000.p/4", "/log/2026/tile/entries/000.p/4"),
    ],
)
def test_a_sealed_file_that_is_damaged_is_named_and_never_served(sealed: Sealed, damage: str, path: str) -> None:
    name = sealed.decide()
    sealed.seal()
    file = sealed.folder / "ledger" / "2026" / damage
    file.write_bytes(file.read_bytes()[:-7])
    answer = sealed.officer.get(path.format(name=name))
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/log-damaged")
    assert damage in answer.json()["detail"]
    assert "allowed" not in answer.text
    assert sealed.decide() != name


# --- replay -----------------------------------------------------------------------------------------------------------


def test_a_decision_is_made_again_to_the_same_bytes_whatever_became_known_since(sealed: Sealed) -> None:
    allowed, denied = sealed.decide(), sealed.decide(subject={"type": "person", "id": "ken"})
    sealed.at(BEGIN + timedelta(hours=1))
    now_known = UsStatus(
        person="carol", kind=UsStatusKind.NONE, valid=Validity(start=parse_instant("2020-01-01"), end=None)
    )
    sealed.parts.members.record(RosterRows(us_statuses=(now_known,)), actor="t", reason="t", at=BEGIN)
    for name in (allowed, denied):
        told = sealed.officer.post(f"/decisions/{name}/replay")
        assert told.status_code == 200
        assert told.json() == {
            "decision_id": name,
            "same": True,
            "shortened": False,
            "differences": [],
            "engine": told.json()["engine_now"],
            "engine_now": told.json()["engine_now"],
            "obstacle": None,
        }
    now = sealed.officer.post(f"/decisions/{allowed}/replay?known=now").json()
    assert now["membership_revision"] > 0
    assert any("us_status" in one["path"] for one in now["differences"])
    assert sealed.officer.post(f"/decisions/{denied}/replay?known=now").json()["differences"] == []


def test_nothing_is_recorded_by_a_replay(sealed: Sealed) -> None:
    name = sealed.decide()
    size = sealed.parts.entries.size()
    sealed.officer.post(f"/decisions/{name}/replay")
    sealed.officer.post(f"/decisions/{name}/replay?known=now")
    assert sealed.parts.entries.size() == size


def test_a_replay_of_nothing_is_not_found_and_one_as_known_sometime_is_malformed(sealed: Sealed) -> None:
    assert sealed.officer.post("/decisions/none/replay").status_code == 404
    assert sealed.officer.post("/decisions/%00/replay").status_code == 404
    name = sealed.decide()
    assert sealed.officer.post(f"/decisions/{name}/replay?known=tomorrow").status_code == 400
    assert sealed.officer.get(f"/decisions/{name}/replay").status_code == 405


# --- holds and retiring -----------------------------------------------------------------------------------------------


def test_a_hold_is_placed_listed_and_released_by_persons(sealed: Sealed) -> None:
    placed = sealed.officer.post("/log/holds", subjects=["person:carol", "person:carol"], reason="BIS request")
    assert placed.status_code == 201
    hold = placed.json()
    assert hold.pop("records") == 0
    assert placed.headers["location"] == f"/log/holds/{hold['id']}"
    assert (hold["status"], hold["scope"], hold["placed_by"]["person"]) == ("held", "subject person:carol", "dora")
    assert sealed.officer.get("/log/holds").json() == {"holds": [hold]}
    released = sealed.person("erin").delete(f"/log/holds/{hold['id']}", reason="BIS letter").json()
    assert (released["status"], released["released_by"]["person"]) == ("released", "erin")
    assert sealed.officer.delete(f"/log/holds/{hold['id']}", reason="again").status_code == 409
    assert sealed.officer.delete("/log/holds/none", reason="x").status_code == 404
    assert sealed.officer.get("/log/holds").json() == {"holds": [released]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "R"},
        {"reason": "", "all": True},
        {"reason": "R", "all": True, "models": ["m"]},
        {"reason": "R", "models": [""]},
        {"reason": "R", "models": ["a\u202eb"]},
        {"reason": "R", "subjects": ["carol"]},
        {"reason": "R", "everything": True},
        {"reason": "R", "models": "m"},
    ],
)
def test_a_hold_that_is_not_clear_is_malformed_and_nothing_is_held(sealed: Sealed, body: dict[str, object]) -> None:
    assert sealed.officer.post("/log/holds", **body).status_code == 400
    assert sealed.officer.get("/log/holds").json() == {"holds": []}


def test_a_year_is_retired_once_its_clocks_have_run_out_and_says_so_from_then_on(sealed: Sealed) -> None:
    sealed.decide()
    sealed.seal()
    refused = sealed.officer.post("/log/retirements", year=2026, reason="schedule")
    assert (refused.status_code, refused.json()["detail"]) == (409, "2026 is the current year of the log")
    sealed.at(datetime(2027, 1, 1, tzinfo=UTC))
    sealed.decide()
    sealed.seal()
    refused = sealed.officer.post("/log/retirements", year=2026, reason="schedule")
    assert refused.status_code == 409
    assert "is kept until 2031-06-20" in refused.json()["detail"]
    sealed.at(MUCH_LATER)
    retired = sealed.officer.post("/log/retirements", year=2026, reason="schedule")
    assert retired.status_code == 201, retired.text
    told = retired.json()
    assert (told["year"], told["decisions"], told["retired_by"]["person"]) == (2026, 1, "dora")
    assert open_checkpoint(told["checkpoint"].encode(), VerifierKey.parse(told["key"])).checkpoint.size == told["size"]
    sealed.sealing.drop_entries(2026)
    gone = sealed.officer.get("/log/2026/tile/entries/000.p/4").json()
    assert "2026 was retired" in gone["detail"]
    assert [year["retired_at"] is None for year in sealed.officer.get("/log/years").json()["years"]] == [False, True]
    assert [year["retirement"] for year in sealed.officer.get("/log/years").json()["years"]] == [
        told["retirement"],
        None,
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A log of which 2026 was retired and removed: a decision that it had, and the one that it has."""

    sealed: Sealed
    gone: str
    kept: str
    record: bytes
    receipt: bytes
    retirement: str


@pytest.fixture
def retired(sealed: Sealed) -> Retired:
    gone = sealed.decide()
    sealed.seal()
    record = sealed.officer.get(f"/decisions/{gone}").content
    receipt = sealed.officer.get(f"/log/proof/{gone}").content
    sealed.at(MUCH_LATER)
    kept = sealed.decide()
    sealed.seal()
    made = sealed.officer.post("/log/retirements", year=2026, reason="schedule")
    assert made.status_code == 201, made.text
    sealed.seal()
    engine = open_database(sealed.url)
    desk = sealed.parts.desk.view.refresh().desk
    assert remove_retired(sealed.parts.entries, sealed.sealing, Retirement(engine), desk, 2026) == 1
    engine.dispose()
    return Retired(
        sealed=sealed,
        gone=gone,
        kept=kept,
        record=record,
        receipt=receipt,
        retirement=made.json()["retirement"],
    )


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/decisions/{}"), ("GET", "/log/proof/{}"), ("POST", "/decisions/{}/replay")]
)
def test_an_id_of_a_retired_year_is_told_so_with_when_and_by_which_change(
    retired: Retired, method: str, path: str
) -> None:
    officer = retired.sealed.officer
    answer = officer.service.client.request(method, path.format(retired.gone), headers=officer.headers)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    detail = problem.pop("detail")
    assert problem == {
        "type": "/problems/retired",
        "title": "Records of this year are no longer kept",
        "status": 404,
        "year": 2026,
        "retired_at": "2036-06-30T00:00:00.000000Z",
        "retirement": retired.retirement,
    }
    assert detail.startswith("no record is kept under this id; by the instant in it, it would be of 2026: ")
    assert f"2026 was retired on 2036-06-30T00:00:00.000000Z by the change `{retired.retirement}`" in detail
    assert "a receipt that was made before still proves" in detail
    # The same words for one that never was: nobody can tell them apart any more, and they do not claim to.
    never = retired.gone[:10] + "0" * 16
    assert officer.service.client.request(method, path.format(never), headers=officer.headers).json()["year"] == 2026


@pytest.mark.parametrize("unknown", ["none", "01J7Y0TNQA" + "0" * 16, "founding-x"])
def test_an_id_of_no_retired_year_is_not_found_as_before(retired: Retired, unknown: str) -> None:
    problem = retired.sealed.officer.get(f"/decisions/{unknown}").json()
    assert (problem["type"], problem["detail"]) == ("/problems/not-found", "no decision has this id")


def test_what_is_told_of_a_retired_year_can_be_checked(retired: Retired) -> None:
    officer = retired.sealed.officer
    years = {year["year"]: year for year in officer.get("/log/years").json()["years"]}
    assert years[2026]["retirement"] == retired.retirement
    key = VerifierKey.parse(years[2026]["key"])
    assert Receipt.parse(retired.receipt).verify(retired.record, key).checkpoint.origin == f"{ORIGIN}/2026"
    # The change that retired it is an entry of the log, with a receipt of its own.
    change = retired.sealed.parts.entries.find(retired.retirement)
    assert change is not None
    key = VerifierKey.parse(years[2036]["key"])
    receipt = Receipt.parse(officer.get(f"/log/proof/{retired.retirement}").content)
    assert receipt.verify(change.body, key).checkpoint.origin == f"{ORIGIN}/2036"


@pytest.mark.parametrize(
    ("query", "reaches"),
    [
        ({}, True),
        ({"decision": "deny"}, True),
        ({"to": "2026-01-01T00:00:00Z"}, False),
        ({"from": "2026-12-31T23:59:59Z"}, True),
        ({"from": "2027-01-01T00:00:00Z"}, False),
    ],
)
def test_a_listing_that_reaches_into_a_retired_year_names_it(
    retired: Retired, query: dict[str, str], reaches: bool
) -> None:
    page = retired.sealed.officer.get("/decisions", **query).json()
    assert page.get("retired") == ([2026] if reaches else None)
    assert list(page)[:3] == ["decisions", "next_cursor", "as_of"]
    assert {one["answer"]["decision_id"] for one in page["decisions"]} <= {retired.kept}


def test_an_export_that_reaches_into_a_retired_year_says_so_beside_its_bytes(retired: Retired) -> None:
    officer = retired.sealed.officer
    for form in ("jsonl", "csv"):
        whole = officer.get("/decisions/export", format=form)
        later = officer.get("/decisions/export", **{"format": form, "from": "2027-01-01T00:00:00Z"})
        assert (whole.headers["log-retired"], "log-retired" in later.headers) == ("2026", False)
        assert whole.content == later.content
        assert retired.kept.encode() in whole.content


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/log/checkpoint", "decisions:read"),
        ("GET", "/log/years", "decisions:read"),
        ("GET", "/log/2026/checkpoint", "decisions:read"),
        ("GET", "/log/proof/x", "decisions:read"),
        ("POST", "/decisions/x/replay", "decisions:read"),
        ("GET", "/log/holds", "decisions:read"),
        ("POST", "/log/holds", "log:hold"),
        ("DELETE", "/log/holds/x", "log:hold"),
        ("POST", "/log/retirements", "log:hold"),
    ],
)
def test_every_route_needs_its_right_and_what_changes_needs_a_person(
    sealed: Sealed, method: str, path: str, right: str
) -> None:
    client = sealed.service.client
    assert client.request(method, path).status_code == 401
    others = sealed.service.key(*(one for one in RIGHTS if one != right))
    assert client.request(method, path, headers=others).status_code == 403
    body = json.dumps({"reason": "R", **({"all": True} if path == "/log/holds" else {})})
    if path.endswith("retirements"):
        body = json.dumps({"reason": "R", "year": 2026})
    answer = client.request(method, path, headers=sealed.service.key(right), content=body)
    if right == "log:hold":
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("/person-needed")
    else:
        assert answer.status_code in (200, 404)


def test_an_entry_is_given_byte_for_byte_whether_decision_or_change(sealed: Sealed) -> None:
    decided = sealed.decide()
    for entry in sealed.parts.entries.page(0):
        told = json.loads(entry.body)
        name = told["id"] if "kind" in told else told["answer"]["decision_id"]
        answer = sealed.officer.get(f"/log/entries/{name}")
        assert answer.status_code == 200
        assert answer.content == entry.body
        assert answer.headers["log-index"] == str(entry.index)
    assert sealed.officer.get(f"/log/entries/{decided}").status_code == 200
    assert sealed.officer.get("/log/entries/none").status_code == 404
    assert sealed.service.client.get(f"/log/entries/{decided}").status_code == 401
    other = sealed.person("otto", "decide")
    assert other.get(f"/log/entries/{decided}").status_code == 403


def test_an_entry_of_a_retired_year_is_told_so(retired: Retired) -> None:
    answer = retired.sealed.officer.get(f"/log/entries/{retired.gone}")
    assert answer.json()["type"] == "/problems/retired"
