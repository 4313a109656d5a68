"""Reviews over HTTP: one case for many held calls, refused by one person, released by two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policy_engine.domain.changes import MembersRecorded
from policy_engine.domain.facts import Question
from policy_engine.domain.instants import format_instant
from policy_engine.domain.roster import RosterRows
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.documents import plain, read_document
from policy_engine.formats.membership_file import read_members, write_members
from policy_engine.formats.roster_rows import decode_rows
from policy_engine.policy.judge import Judge
from tests.api.desks import ALLOWED, ROSTER, Officer, deciding
from tests.api.service import Service, copied, serving
from tests.store.conftest import Store

REVIEWED = {"purpose": "pentest_own_product"}
MATCH = read_members(
    b"listings:\n- {party: harbor-cyber, list: EL, entry: Harbour Cyber Co., entry_version: '2026-11-01', reference: x,"
    b" status: potential, cleared_version: null, from: 2026-11-01, to: null}\n",
    "match",
    existing=ROSTER,
)
MATCHED: RosterRows = replace(ROSTER, listings=(*ROSTER.listings, *MATCH.listings))
"""The roster with a name on a list that may be that of a member."""

EXCEPTION: dict[str, Any] = {
    "authorisations": [
        {
            "id": "EX-1",
            "regime": "consortium",
            "kind": "exception",
            "holder": "harbor-cyber",
            "models": ["mythos-5"],
            "actions": ["infer"],
            "countries": None,
            "from": "2026-11-20",
            "to": "2026-12-20",
            "cap": None,
            "conditions": [],
        }
    ]
}


def _plain(text: str) -> Any:
    def jsonable(value: object) -> object:
        if isinstance(value, dict):
            return {name: jsonable(one) for name, one in value.items()}
        if isinstance(value, list):
            return [jsonable(one) for one in value]
        return value if isinstance(value, str | int | bool | None) else str(value)

    return jsonable(plain(read_document(text.encode(), "clearance")))


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path), ROSTER) as running:
        yield running


@pytest.fixture
def dora(service: Service) -> Officer:
    return Officer(service, "dora")


def _case(answer: Any) -> str:
    (case,) = {finding["review"] for finding in answer["findings"] if finding["review"]}
    return str(case)


def _token(headers: dict[str, str]) -> str:
    return headers["Authorization"]


def _close(officer: Officer, case: str, **body: Any) -> Any:
    return officer.post(f"/reviews/{case}/close", **body)


def test_many_held_calls_open_one_case(dora: Officer) -> None:
    cases = {_case(dora.decide(**REVIEWED)) for _ in range(5)}
    (case,) = cases
    (told,) = dora.get("/reviews").json()["reviews"]
    assert told["id"] == case
    assert told["status"] == "open"
    assert (told["subject"], told["model"], told["action"]) == ("person:carol", "mythos-5", "infer")
    assert (told["purpose"], told["rule"]) == ("pentest_own_product", "GLASSWING-PURPOSE-REVIEW")
    assert told["due_at"] > told["opened_at"]
    file = dora.get(f"/reviews/{case}").json()
    assert file["decision"]["answer"]["decision_id"] == told["decision_id"]
    assert file["decision"]["request"]["purpose"] == "pentest_own_product"


def test_another_model_or_person_is_another_case(dora: Officer) -> None:
    cases = {
        _case(dora.decide(**REVIEWED)),
        _case(dora.decide(**REVIEWED, action="list")),
        _case(dora.decide(**REVIEWED, subject={"type": "person", "id": "alice"})),
    }
    assert len(cases) == 3
    assert {one["id"] for one in dora.get("/reviews").json()["reviews"]} == cases


def test_cases_come_in_pages_and_none_twice(dora: Officer) -> None:
    for action in ("infer", "list", "embed"):
        dora.decide(**REVIEWED, action=action)
    whole = [one["id"] for one in dora.get("/reviews").json()["reviews"]]
    first = dora.get("/reviews", limit="2").json()
    assert [one["id"] for one in first["reviews"]] == whole[:2]
    _close(dora, whole[0], outcome="refuse", rationale="no")
    second = dora.get("/reviews", limit="2", cursor=first["next_cursor"]).json()
    assert [one["id"] for one in second["reviews"]] == whole[2:]
    assert second["next_cursor"] is None
    others = dora.get("/reviews", limit="2", status="all", cursor=first["next_cursor"])
    assert (others.status_code, others.json()["errors"][0]["message"]) == (400, "was given for other filters")
    altered = dora.get("/reviews", limit="2", cursor=first["next_cursor"].swapcase())
    assert (altered.status_code, altered.json()["errors"][0]["message"]) == (
        400,
        "was not given by a page of this list",
    )
    assert [one["id"] for one in dora.get("/reviews").json()["reviews"]] == whole[1:]
    assert [one["id"] for one in dora.get("/reviews", status="all").json()["reviews"]] == whole


def test_a_key_opens_so_many_cases_within_an_hour_and_one_for_all_beyond(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLICY_ENGINE_REVIEWS_PER_HOUR", "3")
    with serving(store.url, MATCHED) as service:
        key, other = service.key(), service.key()
        request = {**ALLOWED, "place": {"country": "US"}}
        asked = [{**request, "purpose": f"purpose-{number}"} for number in range(20)]
        for headers in (key, key, other):
            answers = service.client.post("/decide/batch", json={"requests": asked}, headers=headers).json()["answers"]
            assert {(one["decision"], one["hold"]) for one in answers} == {("deny", True)}
        dora = Officer(service, "dora")
        cases = dora.get("/reviews", limit="1000").json()["reviews"]
        full = [one for one in cases if one["rule"] == "ENGINE-REVIEWS-FULL"]
        # The other key was asked the same, opened three of those that were not open, and one for the others.
        assert (len(cases), len(full)) == (8, 2)
        assert {one["subject"] for one in full} == {f"key:{token.split('_')[1]}" for token in map(_token, (key, other))}
        left_out = {_case(answers[-1])} - {one["id"] for one in cases}
        missed = dora.get(f"/reviews/{left_out.pop()}").json()["detail"]
        assert missed.endswith("gets one of its own when it is made again")
        asked_for = _close(dora, full[0]["id"], outcome="release", rationale="all", members=EXCEPTION)
        assert (asked_for.status_code, asked_for.json()["type"]) == (409, "/problems/conflict")
        assert _close(dora, full[0]["id"], outcome="refuse", rationale="a flood").status_code == 200

        service.now[0] += timedelta(hours=1, minutes=1)
        again = service.decide(asked[-1], key).json()
        assert _case(again) in {one["id"] for one in dora.get("/reviews", limit="1000").json()["reviews"]}


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"status": "closed"}, {"cursor": "!"}], ids=str
)
def test_a_query_that_makes_no_sense_is_400(dora: Officer, query: dict[str, str]) -> None:
    refused = dora.get("/reviews", **query)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, next(iter(query)))


@pytest.mark.parametrize("case", ["RV-none", "%00", "%C3%A9", "a%0Ab"])
def test_an_id_that_no_case_has_is_404(store: Store, case: str) -> None:
    with serving(store.url) as service:
        dora = Officer(service, "dora")
        assert dora.get(f"/reviews/{case}").status_code == 404
        assert dora.post(f"/reviews/{case}/close", outcome="refuse", rationale="no").status_code == 404


def test_a_refusal_needs_one_person_and_a_rationale_and_the_next_call_opens_another_case(dora: Officer) -> None:
    case = _case(dora.decide(**REVIEWED))
    silent = _close(dora, case, outcome="refuse")
    assert (silent.status_code, silent.json()["type"]) == (400, "/problems/not-accepted")
    refused = _close(dora, case, outcome="refuse", rationale="not their product")
    assert (refused.status_code, refused.json()["status"]) == (200, "refused")
    assert refused.json()["closed_by"]["person"] == "dora"
    assert _close(dora, case, outcome="refuse", rationale="again").status_code == 409
    held = dora.decide(**REVIEWED)
    assert held["decision"] == "deny"
    assert _case(held) != case
    assert dora.get(f"/reviews/{case}").json()["rationale"] == "not their product"


def test_a_match_that_is_cleared_by_two_persons_lets_the_next_call_go(store: Store) -> None:
    with serving(store.url, MATCHED) as service:
        dora, egon = Officer(service, "dora"), Officer(service, "egon")
        held = dora.decide()
        assert deciding(held) == {"LISTED_PARTY_UNRESOLVED"}
        case = _case(held)
        clearance = dora.get(f"/reviews/{case}").json()["clearance"]
        rows = _plain(clearance)
        service.now[0] += timedelta(minutes=1)
        assert _close(egon, case, outcome="release").status_code == 404
        asked = _close(dora, case, outcome="release", rationale="another company", members=rows)
        assert (asked.status_code, asked.json()["status"]) == (202, "release_asked")
        assert dora.decide()["decision"] == "deny"
        own = _close(dora, case, outcome="release")
        assert (own.status_code, own.json()["type"]) == (403, "/problems/second-person-needed")
        revision = dora.decide()["membership_revision"]
        released = _confirm(egon, case)
        assert (released.status_code, released.json()["status"]) == (200, "released")
        assert released.json()["membership_revision"] == revision + 1
        answer = dora.decide()
        assert (answer["decision"], answer["membership_revision"]) == ("allow", revision + 1)
        assert _close(egon, case, outcome="release").status_code == 409
        told = dora.get(f"/reviews/{case}").json()
        assert (told["closed_by"]["person"], told["rationale"]) == ("egon", "another company")
        assert dora.get("/reviews").json()["reviews"] == []


def test_a_dated_authorisation_releases_for_as_long_as_it_lasts(migrated: Path, tmp_path: Path) -> None:
    with serving(copied(migrated, tmp_path), ROSTER) as service:
        dora, egon = Officer(service, "dora"), Officer(service, "egon")
        case = _case(dora.decide(**REVIEWED))
        lifts = dora.get(f"/reviews/{case}").json()["lifts"]
        assert lifts.startswith("GLASSWING-RELEASE (A review released this use")
        assert "an exception on file" in lifts
        assert _close(dora, case, outcome="release", rationale="seen", members=EXCEPTION).status_code == 202
        assert _confirm(egon, case, rationale="seen too").status_code == 200
        answer = dora.decide(**REVIEWED)
        assert answer["decision"] == "allow"
        lifted = {one["rule"]: one["state"] for one in answer["findings"]}
        assert lifted["GLASSWING-PURPOSE-REVIEW"] == "lifted"
        service.now[0] = service.now[0].replace(month=12, day=20)
        assert dora.decide(**REVIEWED)["hold"] is True


def test_rows_that_leave_the_rule_standing_release_nothing(dora: Officer) -> None:
    case = _case(dora.decide(**REVIEWED))
    (exception,) = EXCEPTION["authorisations"]
    licence = {"authorisations": [{**exception, "kind": "licence"}]}
    useless = _close(dora, case, outcome="release", rationale="x", members=licence)
    assert (useless.status_code, useless.json()["type"]) == (409, "/problems/conflict")
    assert "GLASSWING-PURPOSE-REVIEW" in useless.json()["detail"]
    nothing = _close(dora, case, outcome="release", rationale="x", members={})
    assert nothing.status_code == 400
    wrong = _close(dora, case, outcome="release", rationale="x", members={"listing": []})
    assert (wrong.status_code, wrong.json()["type"]) == (400, "/problems/not-accepted")
    assert wrong.json()["errors"]
    silent = _close(dora, case, outcome="release", members=EXCEPTION)
    assert silent.status_code == 400
    assert [one["status"] for one in dora.get("/reviews").json()["reviews"]] == ["open"]


def test_a_release_on_which_the_engine_fails_puts_nothing_on_file(
    dora: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = _case(dora.decide(**REVIEWED))

    def failing(_judge: Judge, _question: Question) -> Verdict:
        raise KeyError("a fault")

    monkeypatch.setattr(Judge, "verdict", failing)
    refused = _close(dora, case, outcome="release", rationale="seen", members=EXCEPTION)
    assert refused.status_code == 409
    assert "with these rows the request cannot be judged" in refused.json()["detail"]
    assert [one["status"] for one in dora.get("/reviews").json()["reviews"]] == ["open"]


def test_rows_that_would_no_longer_do_are_not_put_on_file(migrated: Path, tmp_path: Path) -> None:
    with serving(copied(migrated, tmp_path), ROSTER) as service:
        dora, egon = Officer(service, "dora"), Officer(service, "egon")
        case = _case(dora.decide(**REVIEWED))
        assert _close(dora, case, outcome="release", rationale="seen", members=EXCEPTION).status_code == 202
        service.now[0] = service.now[0].replace(month=12, day=20)
        late = _confirm(egon, case)
        assert late.status_code == 409
        assert dora.get(f"/reviews/{case}").json()["status"] == "release_asked"


def test_rows_that_contradict_each_other_are_not_recorded(dora: Officer) -> None:
    case = _case(dora.decide(**REVIEWED))
    (listing,) = _plain(write_members(RosterRows(listings=MATCH.listings)))["listings"]
    rows = {**EXCEPTION, "listings": [listing, {**listing, "status": "confirmed"}]}
    refused = _close(dora, case, outcome="release", rationale="seen", members=rows)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/not-accepted")
    assert dora.get(f"/reviews/{case}").json()["status"] == "open"


def test_nobody_says_when_the_rows_of_a_release_were_recorded(migrated: Path, tmp_path: Path) -> None:
    backdated = {"authorisations": [{**EXCEPTION["authorisations"][0], "recorded_at": "2026-01-01T00:00:00Z"}]}
    with serving(copied(migrated, tmp_path), ROSTER) as service:
        dora = Officer(service, "dora")
        case = _case(dora.decide(**REVIEWED))
        refused = _close(dora, case, outcome="release", rationale="seen", members=backdated)
        assert refused.status_code == 400
        assert "recorded_at" in refused.json()["detail"]


def _confirm(officer: Officer, case: str, **body: Any) -> Any:
    """Look at the case, and confirm what is shown."""
    shown = officer.get(f"/reviews/{case}").json()["rows"]
    return _close(officer, case, outcome="release", rows=shown["digest"], **body)


def test_the_due_instant_is_the_settings_days_after_the_opening(service: Service, dora: Officer) -> None:
    dora.decide(**REVIEWED)
    (told,) = dora.get("/reviews").json()["reviews"]
    assert told["opened_at"] == format_instant(service.now[0])
    assert told["due_at"] == format_instant(service.now[0].replace(day=25))


def test_the_shipped_request_is_allowed_without_a_review(dora: Officer) -> None:
    assert dora.decide()["decision"] == "allow"
    assert dora.get("/reviews").json() == {"reviews": [], "next_cursor": None}


(_LISTING,) = _plain(write_members(RosterRows(listings=MATCH.listings)))["listings"]
STRANGER = {
    "memberships": [
        {
            "organisation": "cedar-university",
            "consortium": "glasswing",
            "from": "2026-11-20",
            "to": None,
            "status": "active",
        }
    ]
}


def test_everybody_who_looks_at_a_release_is_shown_its_rows(dora: Officer) -> None:
    case = _case(dora.decide(**REVIEWED))
    assert dora.get(f"/reviews/{case}").json()["rows"] is None
    asked = _close(dora, case, outcome="release", rationale="seen", members=EXCEPTION).json()["rows"]
    assert asked["count"] == 1
    assert asked["rows"][0]["text"].startswith("authorisation {id: EX-1, regime: consortium, kind: exception")
    assert asked["rows"][0]["row"]["holder"] == "harbor-cyber"
    egon = Officer(dora.service, "egon")
    assert egon.get(f"/reviews/{case}").json()["rows"] == asked
    assert egon.get("/reviews").json()["reviews"][0]["rows"] == asked
    assert _confirm(egon, case).json()["rows"] == asked


def test_a_release_is_not_confirmed_without_the_digest_of_what_was_shown(dora: Officer) -> None:
    egon = Officer(dora.service, "egon")
    case = _case(dora.decide(**REVIEWED))
    _close(dora, case, outcome="release", rationale="seen", members=EXCEPTION)
    blind = _close(egon, case, outcome="release")
    assert (blind.status_code, blind.json()["type"]) == (400, "/problems/not-accepted")
    assert "`rows`" in blind.json()["detail"]
    other = _close(egon, case, outcome="release", rows=f"sha256:{'0' * 64}")
    assert other.status_code == 409
    misplaced = _close(egon, case, outcome="release", rationale="x", members=EXCEPTION, rows="sha256:x")
    assert (misplaced.status_code, misplaced.json()["errors"][0]["field"]) == (400, "rows")
    assert dora.decide(**REVIEWED)["decision"] == "deny"


def test_rows_that_took_the_place_of_those_shown_need_a_confirmation_of_their_own(dora: Officer) -> None:
    egon = Officer(dora.service, "egon")
    case = _case(dora.decide(**REVIEWED))
    seen = _close(dora, case, outcome="release", rationale="seen", members=EXCEPTION).json()["rows"]["digest"]
    longer = {"authorisations": [{**EXCEPTION["authorisations"][0], "to": "2036-12-20"}]}
    _close(dora, case, outcome="release", rationale="seen", members=longer)
    swapped = _close(egon, case, outcome="release", rows=seen)
    assert (swapped.status_code, swapped.json()["type"]) == (409, "/problems/conflict")
    assert dora.decide(**REVIEWED)["decision"] == "deny"
    assert _confirm(egon, case).status_code == 200


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (STRANGER, {"membership"}),
        ({"consortia": [{"id": "second", "name": None}]}, {"consortium"}),
        ({"statements": [{"organisation": "weser-ag", "kind": "uvl", "from": None, "to": None}]}, {"statement"}),
        ({"listings": [{**_LISTING, "party": "weser-ag"}]}, {"listing"}),
        ({"people": [{"id": "newcomer", "citizenships": [{"country": "US"}]}]}, {"person", "citizenship of newcomer"}),
        ({"draws": [{"authorisation": "EX-1", "person": "carol", "at": "2026-11-20T10:00:00Z"}]}, {"draw"}),
    ],
    ids=("membership", "consortium", "statement", "listing", "person", "draw"),
)
def test_a_release_puts_nothing_on_file_about_who_was_no_party(
    dora: Officer, more: dict[str, Any], told: set[str]
) -> None:
    case = _case(dora.decide(**REVIEWED))
    refused = _close(dora, case, outcome="release", rationale="seen", members={**EXCEPTION, **more})
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/not-accepted"), refused.text
    assert "rows about anybody else are changed" in refused.json()["errors"][0]["remedy"]
    assert {error["message"].partition(" {")[0] for error in refused.json()["errors"]} == told
    assert dora.get(f"/reviews/{case}").json()["status"] == "open"


def test_the_log_tells_of_the_rows_that_a_release_put_on_file(dora: Officer) -> None:
    egon = Officer(dora.service, "egon")
    case = _case(dora.decide(**REVIEWED))
    _close(dora, case, outcome="release", rationale="seen", members=EXCEPTION)
    _confirm(egon, case)
    log = dora.service.parts.desk_log
    told = [change for change in log.changes(("members.recorded",)) if isinstance(change.event, MembersRecorded)][-1]
    assert isinstance(told.event, MembersRecorded)
    assert (told.event.change, told.event.reason, told.actor.person) == (case, f"release of {case}: seen", "egon")
    kept = log.content(told.event.digest)
    assert kept is not None
    assert [row.id for row in decode_rows(kept).authorisations] == ["EX-1"]


def test_a_release_is_bound_to_the_purpose_that_was_held(dora: Officer) -> None:
    egon = Officer(dora.service, "egon")
    case = _case(dora.decide(**REVIEWED))
    other = {"authorisations": [{**EXCEPTION["authorisations"][0], "purposes": ["military_end_use"]}]}
    refused = _close(dora, case, outcome="release", rationale="seen", members=other)
    assert (refused.status_code, "purposes: [pentest_own_product]" in refused.json()["detail"]) == (400, True)
    asked = _close(dora, case, outcome="release", rationale="seen", members=EXCEPTION).json()["rows"]
    assert asked["rows"][0]["row"]["purposes"] == ["pentest_own_product"]
    assert _confirm(egon, case).status_code == 200
    assert dora.decide(**REVIEWED)["decision"] == "allow"
