"""Books over HTTP: proposed by one person, approved by another, in force at an instant; and what the routes refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policy_engine.app.builder import build
from policy_engine.app.settings import Settings
from policy_engine.cli.decide import decide_now
from policy_engine.domain.changes import Actor, BookApproved, ProposalWithdrawn
from policy_engine.domain.instants import format_instant, parse_instant
from policy_engine.domain.request import Caller
from policy_engine.service.administration.desk_faults import KeyNotInForce
from policy_engine.service.administration.publish import put_watched
from policy_engine.service.gate.keyring import RIGHTS
from tests.api.desks import (
    ALLOWED,
    FAILING,
    FAULTY,
    LATER,
    OVERLOOKED,
    ROSTER,
    SHIPPED,
    SMALL,
    TRIED,
    WITHOUT_CONSORTIUM,
    Officer,
    edited,
    overlook,
    published,
    without_consortium,
)
from tests.api.service import NOON, Service, copied, serving
from tests.conftest import SMALL_BOOK
from tests.store.conftest import Store

TICK = timedelta(microseconds=1)


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    with serving(store.url, ROSTER, published=True, policies=SMALL_BOOK) as running:
        yield running


@pytest.fixture
def small(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    """Where the book is the test's own, and the database a file."""
    with serving(copied(migrated, tmp_path), ROSTER) as running:
        yield running


@pytest.fixture
def desk(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    """Where books are published, in a file."""
    with serving(copied(migrated, tmp_path), ROSTER, published=True, policies=SMALL_BOOK) as running:
        yield running


@pytest.fixture
def dora(service: Service) -> Officer:
    return Officer(service, "dora")


@pytest.fixture
def egon(service: Service) -> Officer:
    return Officer(service, "egon")


ROUTES = [
    ("GET", "/policy", "policy:read"),
    ("GET", "/policy/books/x", "policy:read"),
    ("GET", "/policy/proposals", "policy:read"),
    ("GET", "/policy/proposals/x", "policy:read"),
    ("GET", "/policy/proposals/x/reports/y", "policy:read"),
    ("POST", "/policy/check", "policy:read"),
    ("POST", "/policy/proposals", "policy:propose"),
    ("POST", "/policy/proposals/x/approve", "policy:approve"),
    ("GET", "/freezes", "policy:read"),
    ("POST", "/freezes", "freeze"),
    ("DELETE", "/freezes/x", "freeze"),
    ("GET", "/reviews", "reviews"),
    ("GET", "/reviews/x", "reviews"),
    ("POST", "/reviews/x/close", "reviews"),
    ("POST", "/simulate", "simulate"),
]


@pytest.mark.parametrize(("method", "path", "right"), ROUTES, ids=lambda value: value)
def test_a_route_needs_a_key_with_its_right(small: Service, method: str, path: str, right: str) -> None:
    assert small.client.request(method, path).status_code == 401
    others = small.key(*(one for one in RIGHTS if one != right))
    refused = small.client.request(method, path, headers=others)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/forbidden")
    assert f"`{right}`" in refused.json()["detail"]
    allowed = small.client.request(method, path, headers=small.key(right, person="dora"))
    assert allowed.status_code in (200, 400, 404)


def test_a_key_without_a_person_changes_nothing(small: Service) -> None:
    nobody, dora = Officer(small, None), Officer(small, "dora")
    freeze = dora.freeze(models=["mythos-5"]).json()["id"]
    asked = [
        nobody.propose(SMALL),
        nobody.approve("PROP-x"),
        nobody.freeze(models=["mythos-5"]),
        nobody.delete(f"/freezes/{freeze}", reason="over"),
        nobody.post("/reviews/x/close", outcome="refuse", rationale="no"),
    ]
    assert [(one.status_code, one.json()["type"]) for one in asked] == [(403, "/problems/person-needed")] * 5
    assert [one["status"] for one in dora.get("/freezes").json()["freezes"]] == ["frozen"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/policy/check", {}, "files"),
        ("/policy/check", {"files": {"a": 1}}, "files[...]"),
        ("/policy/check", {"files": {}, "colour": 1}, "colour"),
        ("/policy/proposals", {"files": {}}, "note"),
        ("/policy/proposals", {"note": "x"}, "files"),
        ("/policy/proposals", {"note": "x", "files": {}, "rollback_to": "sha256:x"}, "files"),
        ("/policy/proposals", {"note": 7, "files": {}}, "note"),
        ("/policy/proposals", {"note": "x", "files": {}, "effective": "tomorrow"}, "effective"),
        ("/policy/proposals", {"note": "x", "files": {}, "effective": "2026-12-01T00:00:00"}, "effective"),
        ("/policy/proposals", {"note": "x", "files": {}, "since": "2026-02-30"}, "since"),
        ("/policy/proposals", {"note": "x", "files": {}, "withdraws": [7]}, "withdraws[0]"),
        ("/policy/proposals", {"note": "x\u202e", "files": {}}, "note"),
        ("/policy/proposals/x/approve", {"note": ["x"]}, "note"),
        ("/policy/proposals/x/approve", {"note": "x" * 4_001}, "note"),
        ("/freezes", {"reason": "x"}, "authority"),
        ("/freezes", {"authority": "x"}, "reason"),
        ("/freezes", {"authority": "x", "reason": "x", "models": "mythos-5"}, "models"),
        ("/freezes", {"authority": "x", "reason": "x", "models": [""]}, "models[0]"),
        ("/freezes", {"authority": "x", "reason": "x", "model": ["mythos-5"]}, "model"),
        ("/freezes", {"authority": "x", "reason": "x", "all": "yes"}, "all"),
        ("/freezes", {"authority": "x", "reason": "x", "all": True, "until": "later"}, "until"),
        ("/reviews/x/close", {}, "outcome"),
        ("/reviews/x/close", {"outcome": "allow"}, "outcome"),
        ("/reviews/x/close", {"outcome": "refuse", "rationale": "x", "members": {}}, "members"),
        ("/simulate", {}, "request"),
        ("/simulate", {"request": {}, "at": "now"}, "at"),
        ("/simulate", {"request": {}, "freezes": None}, "freezes"),
        ("/simulate", {"request": {**ALLOWED, "colour": "red"}}, "request.colour"),
        ("/simulate", {"request": {**ALLOWED, "place": {"country": "usa"}}}, "request.place.country"),
    ],
    ids=str,
)
def test_a_malformed_body_is_400_and_names_the_field(small: Service, path: str, body: Any, field: str) -> None:
    response = Officer(small, "dora").post(path, **body)
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/malformed"
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize("path", ["/policy/check", "/policy/proposals", "/freezes", "/simulate"])
@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "JSON"),
        (b"\xff", "UTF-8"),
        (b"[]", ""),
        (b'{"files": {"a": "1", "a": "2"}}', "twice"),
        (b'{"note": "a", "note": "b"}', "twice"),
        (b'{"files":' * 5000, ""),
        (b'{"files": {"a": "\\ud800"}, "authority": "\\ud800", "reason": "x", "request": {}, "note": "\\ud800"}', ""),
    ],
    ids=["cut", "bytes", "list", "file twice", "member twice", "deep", "surrogate"],
)
def test_a_body_that_is_no_document_is_400(small: Service, path: str, body: bytes, word: str) -> None:
    response = small.client.post(path, content=body, headers=small.key(person="dora"))
    assert (response.status_code, response.json()["type"]) == (400, "/problems/malformed")
    assert word in response.text


def test_bodies_have_limits(small: Service) -> None:
    dora = Officer(small, "dora")
    assert dora.post("/freezes", authority="x", reason="y" * 2**20).status_code == 413
    assert dora.post("/policy/check", files={"notes.txt": "y" * 2**21}).status_code == 200
    declared = {**dora.headers, "content-length": str(65 * 2**20)}
    assert small.client.post("/policy/check", content=b"{}", headers=declared).status_code == 413


def test_a_proposed_book_decides_nothing_until_another_person_approves_it(
    service: Service, dora: Officer, egon: Officer
) -> None:
    before = dora.decide()
    proposal = dora.propose(WITHOUT_CONSORTIUM).json()
    assert dora.decide()["decision"] == "allow"
    own = dora.approve(proposal["id"])
    assert (own.status_code, own.json()["type"]) == (403, "/problems/second-person-needed")
    assert dora.decide()["policy_version"] == before["policy_version"]
    approved = egon.approve(proposal["id"])
    assert approved.status_code == 200
    assert approved.json()["in_force"] == format_instant(service.now[0])
    after = dora.decide()
    assert (after["decision"], after["policy_version"]) == ("deny", proposal["fingerprint"])
    told = dora.get("/policy").json()
    assert told["in_force"]["fingerprint"] == proposal["fingerprint"]
    assert told["in_force"]["proposed_by"]["person"] == "dora"
    assert told["in_force"]["approved_by"]["person"] == "egon"
    assert [book["fingerprint"] for book in told["history"]] == [before["policy_version"]]
    assert told["history"][0]["via"] == "founding"
    assert [one["status"] for one in told["proposals"]] == ["put_in_force"]


def test_a_book_that_drops_worked_examples_is_approved_by_who_acknowledges_them_by_name(
    desk: Service,
) -> None:
    dora, egon = Officer(desk, "dora"), Officer(desk, "egon")
    proposal = dora.propose(WITHOUT_CONSORTIUM).json()["id"]
    path = f"/policy/proposals/{proposal}/approve"
    (kept,) = (one for one in egon.get(path[: -len("/approve")]).json()["reports"] if one["name"] == "cases")
    report = egon.get(f"/policy/proposals/{proposal}/reports/cases").json()
    assert len(report["removed"]) == 10
    version = dora.decide()["policy_version"]
    for body in ({}, {"cases": None}, {"cases": ""}, {"cases": "sha256:0"}, {"cases": kept["digest"].upper()}):
        refused = egon.post(path, **body)
        told = refused.json()
        assert (refused.status_code, told["type"]) == (409, "/problems/cases-not-acknowledged"), body
        assert (told["cases"], told["removed"], told["changed"]) == (kept["digest"], report["removed"], [])
        assert f"`{kept['digest']}`" in told["detail"]
        assert f"{len(report['removed'])} removed" in told["detail"]
    assert egon.post(path, cases=5).status_code == 400
    assert dora.decide()["policy_version"] == version
    approved = egon.post(path, cases=kept["digest"])
    assert (approved.status_code, approved.json()["cases"]) == (200, kept["digest"])
    (event,) = desk.parts.desk_log.changes(("book.approved",))
    assert isinstance(event.event, BookApproved)
    assert event.event.cases == kept["digest"]


def test_the_shipped_book_is_proposed_compared_and_approved_as_the_small_one_is(migrated: Path, tmp_path: Path) -> None:
    with serving(copied(migrated, tmp_path), ROSTER, published=True) as shipped:
        dora, egon = Officer(shipped, "dora"), Officer(shipped, "egon")
        proposal = dora.propose(without_consortium(SHIPPED)).json()["id"]
        told = {name: dora.get(f"/policy/proposals/{proposal}/reports/{name}").json() for name in ("diff", "cases")}
        assert len(told["cases"]["removed"]) > 300
        assert set(told["diff"]["changes"]) == {"allow -> deny"}
        assert {rule for one in told["diff"]["differences"] for rule in one["rules"]} >= {"GLASSWING-ACCESS"}
        assert dora.decide()["decision"] == "allow"
        assert egon.approve(proposal).json()["status"] == "put_in_force"
        assert dora.decide()["decision"] == "deny"


def test_changed_examples_are_acknowledged_and_a_book_that_keeps_them_needs_none(desk: Service) -> None:
    dora, egon = Officer(desk, "dora"), Officer(desk, "egon")
    published(dora, egon, SMALL)
    kept = dora.propose(WITHOUT_CONSORTIUM).json()["id"]
    assert egon.post(f"/policy/proposals/{kept}/approve", cases="sha256:0").status_code == 409
    approved = egon.post(f"/policy/proposals/{kept}/approve")
    assert (approved.status_code, approved.json()["cases"]) == (200, None)
    changed = dora.propose(edited("cases/one.yaml", "2026-11-20T12", "2026-11-20T13")).json()["id"]
    refused = egon.post(f"/policy/proposals/{changed}/approve")
    assert (refused.status_code, refused.json()["removed"], refused.json()["changed"]) == (409, [], ["ONE"])
    back = dora.post("/policy/proposals", rollback_to=kept, note="as it was").json()["id"]
    assert egon.post(f"/policy/proposals/{back}/approve").status_code == 200


def test_examples_of_before_that_cannot_be_read_are_acknowledged_too(desk: Service) -> None:
    dora, egon = Officer(desk, "dora"), Officer(desk, "egon")
    broken = {name: text.encode() for name, text in {**SMALL, "cases/one.yaml": "- {id: ONE, other: 1}\n"}.items()}
    put_watched(desk.parts.desk, broken, dora.decide()["policy_version"])
    proposal = dora.propose(SMALL).json()["id"]
    refused = egon.post(f"/policy/proposals/{proposal}/approve")
    assert (refused.status_code, refused.json()["removed"], refused.json()["changed"]) == (409, [], [])
    assert "could not be compared" in refused.json()["detail"]
    assert egon.approve(proposal).status_code == 200


def test_a_proposal_that_waits_is_withdrawn_and_never_approved(desk: Service) -> None:
    dora, egon = Officer(desk, "dora"), Officer(desk, "egon")
    proposal = dora.propose(WITHOUT_CONSORTIUM).json()["id"]
    path = f"/policy/proposals/{proposal}/withdraw"
    assert egon.post(path).status_code == 400
    assert Officer(desk, None).post(path, reason="x").status_code == 403
    assert Officer(desk, "bela", "policy:read", "policy:approve").post(path, reason="x").status_code == 403
    taken = egon.post(path, reason="another wording")
    assert (taken.status_code, taken.json()["status"]) == (200, "withdrawn")
    assert (taken.json()["withdrawn"]["by"]["person"], taken.json()["withdrawn_by"]) == ("egon", None)
    assert dora.get(f"/policy/proposals/{proposal}/report.json").json()["status"] == "withdrawn"
    late = egon.approve(proposal)
    assert (late.status_code, late.json()["type"]) == (409, "/problems/conflict")
    assert "was withdrawn by `egon` at " in late.json()["detail"]
    assert egon.post(path, reason="again").status_code == 409
    assert dora.post("/policy/proposals/PROP-none/withdraw", reason="x").status_code == 404
    assert dora.decide()["decision"] == "allow"
    (event,) = desk.parts.desk_log.changes(("book.withdrawn",))
    assert event.event == ProposalWithdrawn(proposal=proposal, reason="another wording")
    again = published(dora, egon, WITHOUT_CONSORTIUM, effective=format_instant(LATER))["id"]
    refused = dora.post(f"/policy/proposals/{again}/withdraw", reason="x")
    assert (refused.status_code, "another proposal can withdraw it" in refused.json()["detail"]) == (409, True)


def test_two_keys_of_one_person_are_one_person(service: Service, dora: Officer) -> None:
    proposal = dora.propose(WITHOUT_CONSORTIUM).json()["id"]
    assert Officer(service, "dora").approve(proposal).status_code == 403


def test_a_book_for_later_decides_from_its_very_instant_and_no_allow_reaches_beyond_it(
    service: Service, dora: Officer, egon: Officer
) -> None:
    old = dora.decide()["policy_version"]
    approved = published(dora, egon, WITHOUT_CONSORTIUM, effective=format_instant(LATER))
    assert approved["status"] == "scheduled"
    told = dora.get("/policy").json()
    assert told["in_force"]["fingerprint"] == old
    assert [book["since"] for book in told["scheduled"]] == [format_instant(LATER)]
    service.now[0] = LATER - timedelta(seconds=2)
    last = dora.decide()
    assert (last["decision"], last["policy_version"]) == ("allow", old)
    assert parse_instant(last["valid_until"]) == LATER
    service.now[0] = LATER - TICK
    assert dora.decide()["policy_version"] == old
    service.now[0] = LATER
    first = dora.decide()
    assert (first["decision"], first["policy_version"]) == ("deny", approved["fingerprint"])
    assert dora.get(f"/policy/proposals/{approved['id']}").json()["status"] == "put_in_force"


def test_a_book_whose_instant_has_passed_when_it_is_approved_is_in_force_at_once(
    service: Service, dora: Officer, egon: Officer
) -> None:
    proposal = dora.propose(WITHOUT_CONSORTIUM, effective=format_instant(service.now[0] + TICK)).json()
    service.now[0] = LATER
    assert egon.approve(proposal["id"]).json()["in_force"] == format_instant(LATER)
    assert dora.decide()["decision"] == "deny"


def test_a_book_proposed_for_an_instant_that_has_passed_follows_the_one_in_force(
    service: Service, dora: Officer, egon: Officer
) -> None:
    first = published(dora, egon, WITHOUT_CONSORTIUM)
    service.now[0] += timedelta(hours=1)
    again = dora.propose(SMALL, effective=format_instant(NOON - timedelta(days=1)))
    assert again.status_code == 201
    assert again.json()["base"] == first["fingerprint"]
    assert egon.approve(again.json()["id"]).json()["in_force"] == format_instant(service.now[0])


def test_a_process_that_has_not_heard_of_a_new_book_allows_nothing_under_the_old_one(
    service: Service, store: Store, dora: Officer, egon: Officer
) -> None:
    other = build(Settings(database_url=store.url, policies=SMALL_BOOK), clock=lambda: service.now[0])
    try:
        other.gate.view.refresh()
        published(dora, egon, WITHOUT_CONSORTIUM)
        answer = json.loads(decide_now(other.gate, ALLOWED, Caller(id="other", explain=True)))
        assert answer["decision"] == "deny"
    finally:
        other.close()


def test_what_a_person_began_is_not_recorded_once_the_key_is_revoked(
    service: Service, dora: Officer, egon: Officer
) -> None:
    proposal = dora.propose(WITHOUT_CONSORTIUM).json()["id"]
    key = egon.headers["Authorization"].split("_")[1]
    assert service.parts.ring.revoke(key, service.now[0])
    with pytest.raises(KeyNotInForce):
        service.parts.publisher.approve(Actor(key=key, person="egon"), proposal)
    assert dora.decide()["decision"] == "allow"
    assert egon.approve(proposal).status_code == 401


def test_an_approval_holds_only_for_the_book_that_the_proposal_was_compared_with(dora: Officer, egon: Officer) -> None:
    one = dora.propose(WITHOUT_CONSORTIUM).json()["id"]
    other = dora.propose(edited("settings.yaml", "other: 30", "other: 20")).json()["id"]
    assert egon.approve(one).status_code == 200
    stale = egon.approve(other)
    assert (stale.status_code, stale.json()["type"]) == (409, "/problems/conflict")
    assert "propose it again" in stale.json()["detail"]
    assert egon.approve(one).status_code == 409
    assert egon.approve("PROP-none").status_code == 404


def test_a_book_that_would_be_ended_unseen_by_a_scheduled_one_withdraws_it_or_is_refused(
    service: Service, dora: Officer, egon: Officer
) -> None:
    scheduled = published(dora, egon, WITHOUT_CONSORTIUM, effective=format_instant(LATER))["id"]
    other = edited("settings.yaml", "other: 30", "other: 20")
    refused = dora.propose(other)
    assert refused.status_code == 409
    assert scheduled in refused.json()["detail"]
    assert dora.propose(other, withdraws=["PROP-none"]).status_code == 404
    withdrawing = published(dora, egon, other, withdraws=[scheduled])
    service.now[0] = LATER + timedelta(days=1)
    assert dora.decide()["policy_version"] == withdrawing["fingerprint"]
    told = dora.get(f"/policy/proposals/{scheduled}").json()
    assert (told["status"], told["withdrawn_by"]) == ("withdrawn", withdrawing["id"])


def test_a_rollback_is_a_proposal_like_any_other_and_brings_the_old_book_back(dora: Officer, egon: Officer) -> None:
    old = dora.decide()["policy_version"]
    published(dora, egon, WITHOUT_CONSORTIUM)
    rollback = dora.post("/policy/proposals", rollback_to=old, note="denies too much")
    assert rollback.status_code == 201
    assert (rollback.json()["rollback"], rollback.json()["fingerprint"]) == (True, old)
    assert dora.decide()["decision"] == "deny"
    assert dora.approve(rollback.json()["id"]).status_code == 403
    assert egon.approve(rollback.json()["id"]).status_code == 200
    back = dora.decide()
    assert (back["decision"], back["policy_version"]) == ("allow", old)
    assert dora.post("/policy/proposals", rollback_to="sha256:none", note="x").status_code == 404


def test_a_book_of_before_lists_were_declared_can_be_rolled_back_to_and_not_be_proposed_anew(desk: Service) -> None:
    dora, egon = Officer(desk, "dora"), Officer(desk, "egon")
    parameters = SMALL["parameters.yaml"]
    section = parameters[parameters.index("lists:\n") : parameters.index("ownership:")]
    before = edited("parameters.yaml", section, "")
    version = dora.decide()["policy_version"]
    put_watched(desk.parts.desk, {name: text.encode() for name, text in before.items()}, version)
    refused = dora.propose(before)
    assert (refused.status_code, refused.json()["errors"][0]["message"]) == (400, "there is no list `EL`")
    rollback = dora.post("/policy/proposals", rollback_to=version, note="as it was")
    assert rollback.status_code == 201, rollback.text
    assert egon.approve(rollback.json()["id"]).status_code == 200


def test_a_rollback_can_withdraw_what_is_scheduled(desk: Service) -> None:
    dora, egon = Officer(desk, "dora"), Officer(desk, "egon")
    old = dora.decide()["policy_version"]
    scheduled = published(dora, egon, WITHOUT_CONSORTIUM, effective=format_instant(LATER))["id"]
    assert dora.post("/policy/proposals", rollback_to=old, note="x").status_code == 409
    rollback = dora.post("/policy/proposals", rollback_to=old, note="x", withdraws=[scheduled])
    assert rollback.status_code == 201
    assert egon.approve(rollback.json()["id"]).status_code == 200
    desk.now[0] = LATER
    assert dora.decide()["decision"] == "allow"


@pytest.mark.parametrize(
    ("files", "word"), [(FAULTY, "the book has faults"), (FAILING, "ONE"), ({}, "the book has faults")]
)
def test_a_book_that_is_not_good_is_no_proposal(desk: Service, files: dict[str, str], word: str) -> None:
    dora = Officer(desk, "dora")
    refused = dora.propose(files)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/book-not-accepted")
    assert word in refused.json()["detail"]
    assert dora.get("/policy/proposals").json() == {"proposals": []}


def test_a_book_of_which_pycasbin_judges_an_example_otherwise_is_no_proposal_until_both_say_the_same(
    desk: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    dora, egon = Officer(desk, "dora"), Officer(desk, "egon")
    with monkeypatch.context() as faulty:
        overlook(faulty, OVERLOOKED)
        refused = dora.propose(TRIED)
        assert refused.status_code == 400
        (error,) = refused.json()["errors"]
        assert (error["file"], error["line"]) == ("cases/one.yaml", 7)
        assert f"case `TWO` differently: rule `{OVERLOOKED}`, for the subject `person:ann`" in error["message"]
        assert "the engine says that it does not stand, pycasbin that it stands" in error["message"]
        assert dora.get("/policy/proposals").json() == {"proposals": []}
        checked = dora.post("/policy/check", files=TRIED).json()
        assert (checked["ok"], checked["faults"]) == (False, [error])
    published(dora, egon, TRIED)


def test_the_faults_of_a_book_are_told_with_their_places(desk: Service) -> None:
    dora = Officer(desk, "dora")
    refused = dora.propose(FAULTY).json()
    (fault,) = refused["errors"]
    assert fault["file"] == "rules/vendor.csv"
    assert fault["line"] > 1
    assert "`Deny`" in fault["message"]
    checked = dora.post("/policy/check", files=FAULTY)
    assert checked.status_code == 200
    assert (checked.json()["ok"], checked.json()["faults"]) == (False, [fault])


def test_a_proposal_says_why(desk: Service) -> None:
    refused = Officer(desk, "dora").propose(SMALL, note=" ")
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/book-not-accepted")


def test_a_check_runs_the_worked_examples_and_records_nothing(desk: Service) -> None:
    dora = Officer(desk, "dora")
    epoch = desk.parts.members.control().epoch
    good = dora.post("/policy/check", files=SMALL).json()
    version = dora.decide()["policy_version"]
    cases = good.pop("cases")
    assert good == {"ok": True, "fingerprint": version, "faults": []}
    assert (cases["passed"], cases["failed"], cases["added"], cases["changed"]) == (1, [], ["ONE"], [])
    assert len(cases["removed"]) == 10
    failing = dora.post("/policy/check", files=FAILING).json()
    assert (failing["ok"], failing["cases"]["passed"], failing["cases"]["failed"]) == (False, 0, ["ONE"])
    assert desk.parts.members.control().epoch == epoch


def test_a_rule_that_means_something_else_needs_a_word_in_the_changelog(desk: Service) -> None:
    dora = Officer(desk, "dora")
    other = edited(
        "rules/consortium.csv",
        "GLASSWING-ACCESS,consortium,permit,no,parties,infer | list",
        "GLASSWING-ACCESS,consortium,permit,no,parties,list",
    )
    assert dora.post("/policy/check", files=other).json()["ok"] is False
    assert dora.propose(other).status_code == 400
    entry = "GLASSWING-ACCESS,2026-11-20,fewer actions,vendor terms\n"
    said = {**other, "CHANGELOG.csv": other["CHANGELOG.csv"] + entry}
    assert dora.post("/policy/check", files=said).json()["ok"] is True
    assert dora.propose(said).status_code == 201


def test_a_book_is_kept_byte_for_byte_with_its_reports(desk: Service) -> None:
    dora = Officer(desk, "dora")
    files = {**WITHOUT_CONSORTIUM, "README.md": "\ufeffline one\r\nline two"}
    proposal = dora.propose(files).json()
    assert dora.get(f"/policy/proposals/{proposal['id']}").json() == proposal
    kept = dora.get(f"/policy/books/{proposal['fingerprint']}").json()
    assert kept == {"fingerprint": proposal["fingerprint"], "files": files}
    for report in proposal["reports"]:
        told = dora.get(f"/policy/proposals/{proposal['id']}/reports/{report['name']}")
        assert told.headers["content-type"] == "application/json"
        assert isinstance(told.json(), dict)
    names = [report["name"] for report in proposal["reports"]]
    assert names[:2] == ["check", "cases"]
    assert dora.get(f"/policy/proposals/{proposal['id']}/reports/none").status_code == 404
    assert dora.get("/policy/proposals/none").status_code == 404
    assert dora.get("/policy/books/sha256:none").status_code == 404
