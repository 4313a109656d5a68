"""Changes of members over HTTP: shown first, narrow with one person, widen with two, bound to what was shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policy_engine.domain.changes import MembersWithdrawn
from policy_engine.service.gate.keyring import KeyFault
from tests.api.desks import ROSTER, Officer
from tests.api.service import Service, copied, serving

FROM = "2026-04-07T00:00:00Z"
SUSPENDED = {
    "memberships": [
        {"organisation": "harbor-cyber", "consortium": "glasswing", "from": FROM, "to": None, "status": "suspended"}
    ]
}
NEWCOMER = {
    "memberships": [
        {
            "organisation": "prairie-retail",
            "consortium": "glasswing",
            "from": "2026-11-01",
            "to": None,
            "status": "active",
        }
    ]
}


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path), ROSTER) as running:
        yield running


@pytest.fixture
def dora(service: Service) -> Officer:
    return Officer(service, "dora")


@pytest.fixture
def egon(service: Service) -> Officer:
    return Officer(service, "egon")


def _change(officer: Officer, members: Any = SUSPENDED, **more: Any) -> Any:
    return officer.post("/members/changes", **{"members": members, "reason": "notice", **more})


def _gains(told: Any) -> set[tuple[str, str]]:
    return {(one["organisation"], one["model"]) for one in told["effects"]["gained"]}


def test_a_suspension_is_in_force_at_once_and_says_who_loses_which_model(dora: Officer) -> None:
    assert dora.decide()["decision"] == "allow"
    told = _change(dora)
    assert told.status_code == 201, told.text
    document = told.json()
    assert (document["status"], document["at_once"], document["needs_second_person"]) == ("in_force", "narrow", False)
    assert document["rows"]["rows"][0]["text"].startswith("membership {organisation: harbor-cyber")
    lost = {(one["subject"], one["model"]) for one in document["effects"]["lost"]}
    assert ("person:carol", "mythos-5") in lost
    assert document["effects"]["gained"] == []
    assert dora.decide()["decision"] == "deny"
    assert dora.get(told.headers["Location"]).json()["status"] == "in_force"


def test_a_new_membership_waits_for_another_person_who_approves_what_was_shown(dora: Officer, egon: Officer) -> None:
    told = _change(dora, NEWCOMER)
    assert told.status_code == 202, told.text
    document = told.json()
    assert (document["status"], document["needs_second_person"]) == ("waits", True)
    assert document["widens"][0]["why"] == "it makes an organisation a member"
    assert ("prairie-retail", "mythos-5") in _gains(document)
    path = f"/members/changes/{document['id']}"
    before = dora.decide()["membership_revision"]
    shown = egon.get(path).json()
    assert shown["shown"] == document["shown"]
    own = dora.post(f"{path}/approve", shown=document["shown"])
    assert (own.status_code, own.json()["type"]) == (403, "/problems/second-person-needed")
    assert egon.post(f"{path}/approve").status_code == 400
    assert egon.post(f"{path}/approve", shown="sha256:0").status_code == 409
    assert dora.decide()["membership_revision"] == before
    approved = egon.post(f"{path}/approve", shown=shown["shown"])
    assert (approved.status_code, approved.json()["status"]) == (200, "in_force")
    assert approved.json()["approved_by"]["person"] == "egon"
    assert dora.decide()["membership_revision"] == before + 1
    assert egon.post(f"{path}/approve", shown=shown["shown"]).status_code == 409
    assert [one["id"] for one in dora.get("/members/changes").json()["changes"]] == [document["id"]]


def test_a_change_that_waits_is_withdrawn_by_its_proposer_or_by_another_and_never_approved(
    service: Service, dora: Officer, egon: Officer
) -> None:
    for officer in (dora, egon):
        document = _change(dora, NEWCOMER).json()
        path = f"/members/changes/{document['id']}"
        before = dora.decide()["membership_revision"]
        assert officer.post(f"{path}/withdraw").status_code == 400
        assert officer.post(f"{path}/withdraw", reason=" ").status_code == 400
        taken = officer.post(f"{path}/withdraw", reason="not signed")
        assert (taken.status_code, taken.json()["status"]) == (200, "withdrawn")
        who = "dora" if officer is dora else "egon"
        assert (taken.json()["withdrawn"]["by"]["person"], taken.json()["withdrawn"]["reason"]) == (who, "not signed")
        late = egon.post(f"{path}/approve", shown=document["shown"])
        assert (late.status_code, late.json()["type"]) == (409, "/problems/conflict")
        assert f"was withdrawn by `{who}` at " in late.json()["detail"]
        assert late.json()["detail"].endswith(": not signed")
        assert egon.post(f"{path}/withdraw", reason="again").status_code == 409
        assert dora.decide()["membership_revision"] == before
        (event,) = service.parts.desk_log.changes(("members.withdrawn",))[-1:]
        assert (event.actor.person, event.event) == (who, MembersWithdrawn(change=document["id"], reason="not signed"))
    listed = dora.get("/members/changes").json()["changes"]
    assert [one["status"] for one in listed] == ["withdrawn", "withdrawn"]
    assert dora.get(f"/members/changes/{listed[0]['id']}").json()["status"] == "withdrawn"


def test_a_change_that_is_on_file_is_not_withdrawn_and_neither_is_none(service: Service, dora: Officer) -> None:
    done = _change(dora).json()["id"]
    refused = dora.post(f"/members/changes/{done}/withdraw", reason="x")
    assert (refused.status_code, "on file already" in refused.json()["detail"]) == (409, True)
    assert dora.post("/members/changes/MC-none/withdraw", reason="x").status_code == 404
    waiting = _change(dora, NEWCOMER).json()["id"]
    nobody = Officer(service, None, "members:write")
    assert nobody.post(f"/members/changes/{waiting}/withdraw", reason="x").status_code == 403
    reader = Officer(service, "bela", "members:read", "members:approve")
    assert reader.post(f"/members/changes/{waiting}/withdraw", reason="x").status_code == 403
    assert dora.get(f"/members/changes/{waiting}").json()["status"] == "waits"


def test_another_key_of_the_same_person_approves_nothing(service: Service, dora: Officer) -> None:
    document = _change(dora, NEWCOMER).json()
    again = Officer(service, "dora").post(f"/members/changes/{document['id']}/approve", shown=document["shown"])
    assert again.status_code == 403


def test_a_preview_records_nothing_and_neither_does_what_is_on_file(dora: Officer) -> None:
    before = dora.decide()["membership_revision"]
    preview = _change(dora, dry_run=True, reason=None)
    assert (preview.status_code, preview.json()["status"], preview.json()["id"]) == (200, "preview", None)
    assert _change(dora).status_code == 201
    again = _change(dora)
    assert (again.status_code, again.json()["status"]) == (200, "nothing_new")
    assert dora.decide()["membership_revision"] == before + 1


def test_what_moved_under_a_proposal_needs_another_look(dora: Officer, egon: Officer) -> None:
    newcomer = _change(dora, NEWCOMER).json()
    path = f"/members/changes/{newcomer['id']}"
    listed = {
        "listings": [
            {
                "party": "prairie-retail",
                "list": "EL",
                "entry": "Prairie",
                "entry_version": "1",
                "reference": None,
                "status": "confirmed",
                "cleared_version": None,
                "from": "2026-01-01",
                "to": None,
            }
        ]
    }
    assert _change(egon, listed).status_code == 201
    assert egon.post(f"{path}/approve", shown=newcomer["shown"]).status_code == 409
    now = egon.get(path).json()
    assert now["shown"] != newcomer["shown"]
    assert ("prairie-retail", "mythos-5") not in _gains(now)
    assert egon.post(f"{path}/approve", shown=now["shown"]).status_code == 200


def test_a_change_of_something_else_leaves_a_proposal_as_it_was_shown(dora: Officer, egon: Officer) -> None:
    newcomer = _change(dora, NEWCOMER).json()
    assert _change(egon).status_code == 201
    approved = egon.post(f"/members/changes/{newcomer['id']}/approve", shown=newcomer["shown"])
    assert approved.status_code == 200, approved.text


def test_a_key_without_a_person_changes_nothing(service: Service) -> None:
    nobody = Officer(service, None)
    refused = _change(nobody)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/person-needed")


@pytest.mark.parametrize(
    ("right", "method", "path"),
    [
        ("members:write", "post", "/members/changes"),
        ("members:read", "get", "/members/changes"),
        ("members:read", "get", "/members/changes/x"),
        ("members:approve", "post", "/members/changes/x/approve"),
    ],
)
def test_each_route_needs_its_right(service: Service, right: str, method: str, path: str) -> None:
    without = Officer(service, "dora", "decide")
    answer = getattr(without, method)(path)
    assert (answer.status_code, right in answer.json()["detail"]) == (403, True)


def test_a_revoked_key_puts_nothing_on_file(service: Service, dora: Officer, egon: Officer) -> None:
    newcomer = _change(dora, NEWCOMER).json()
    key = egon.headers["Authorization"].split("_")[1]
    service.parts.ring.revoke(key, service.now[0] + timedelta(seconds=1))
    answer = egon.post(f"/members/changes/{newcomer['id']}/approve", shown=newcomer["shown"])
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "members"),
        ({"members": {}, "document": "{}"}, "members"),
        ({"members": {}, "reasons": "x"}, "reasons"),
    ],
)
def test_a_body_that_makes_no_sense_names_the_field(dora: Officer, body: dict[str, Any], field: str) -> None:
    refused = dora.post("/members/changes", **body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)


def test_faults_have_the_place_in_the_file_that_was_sent(dora: Officer) -> None:
    text = "memberships:\n- {organisation: harbor, consortium: glasswing, from: null, to: null, status: active}\n"
    refused = dora.post("/members/changes", document=text, source="new.yaml", reason="x")
    (fault,) = refused.json()["errors"]
    assert (fault["file"], fault["line"]) == ("new.yaml", 2)
    dated = "consortia:\n- {id: second, name: null, recorded_at: 2026-01-01}\n"
    assert "recorded_at" in dora.post("/members/changes", document=dated, reason="x").json()["detail"]
    assert dora.post("/members/changes", document=text, reason=" ").status_code == 400


NEW_ACCOUNT = {
    "accounts": [
        {
            "id": "key-new",
            "kind": "account",
            "organisation": "harbor-cyber",
            "person": None,
            "gateway": "main",
            "cluster": None,
        }
    ]
}


def _feed(service: Service, members: Any, *kinds: str) -> Any:
    headers = service.key("members:write", feed=kinds)
    body = {"members": members, "reason": "nightly"}
    return service.client.post("/members/changes", headers=headers, json=body)


def test_a_feed_records_rows_of_its_kinds_at_once_and_nothing_else(service: Service) -> None:
    told = _feed(service, NEW_ACCOUNT, "accounts")
    assert (told.status_code, told.json()["at_once"]) == (201, "feed")
    person = {"people": [{"id": "newcomer", "citizenships": []}]}
    for members in (SUSPENDED, NEWCOMER, person, {**NEW_ACCOUNT, **NEWCOMER}):
        refused = _feed(service, members, "people", "accounts")
        assert (refused.status_code, refused.json()["type"]) == (400, "/problems/not-accepted"), refused.text
        assert "feed" in refused.json()["errors"][0]["remedy"]
    assert _feed(service, person, "people", "citizenships").status_code == 201


def test_an_account_of_a_person_waits_for_another_person(dora: Officer) -> None:
    assert _change(dora, NEW_ACCOUNT).status_code == 202


@pytest.mark.parametrize(
    ("rights", "kinds"),
    [(("members:write",), ("memberships",)), (("members:write", "decide"), ("people",)), (("decide",), ("people",))],
)
def test_no_feed_is_given_what_people_decide_or_another_right(
    service: Service, rights: tuple[str, ...], kinds: tuple[str, ...]
) -> None:
    with pytest.raises(KeyFault):
        service.key(*rights, feed=kinds)


def test_what_is_on_file_about_an_id_is_told_as_it_is_true_and_as_it_was_known(service: Service, dora: Officer) -> None:
    before = "2026-11-20T12:00:00Z"
    service.now[0] += timedelta(hours=1)
    assert _change(dora).status_code == 201

    def status(**query: str) -> list[str]:
        told = dora.get("/members/organisations/harbor-cyber", **query)
        assert told.status_code == 200, told.text
        return [one["status"] for one in told.json()["members"].get("memberships", [])]

    assert status() == ["suspended"]
    assert status(known_at=before) == ["active"]
    assert status(at="2026-01-01") == []
    assert dora.get("/members/people/carol").json()["members"]["people"][0]["id"] == "carol"
    for path in ("/members/people/harbor-cyber", "/members/rules/x", "/members/accounts/none"):
        assert dora.get(path).status_code == 404
    assert dora.get("/members/people/carol", at="soon").status_code == 400
