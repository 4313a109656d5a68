"""POST /decide: what is refused, what a caller may see, and that nothing is answered before its record is durable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policy_engine.domain.facts import Question
from policy_engine.domain.freezes import Freeze
from policy_engine.domain.ports import Appended, LogUnavailable
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.membership_file import read_members
from policy_engine.policy.judge import Judge
from policy_engine.policy.library import BookLost
from tests.api.service import Service, copied, serving
from tests.conftest import POLICIES, judge_for

ROSTER = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
ALLOWED: dict[str, Any] = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US"},
}


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path), ROSTER) as running:
        yield running


def _changed(**changes: object) -> dict[str, Any]:
    return {**ALLOWED, **changes}


def test_a_member_may_use_the_consortiums_model_for_its_purpose(service: Service) -> None:
    answer = service.decide(ALLOWED).json()
    assert answer["decision"] == "allow"
    assert answer["reason"]["code"] == "MEMBER_ACTIVE"
    assert answer["model"] == {"id": "mythos-5", "tier": "classified"}
    assert answer["policy_version"].startswith("sha256:")


def test_the_answer_has_exactly_the_fields_of_the_contract(service: Service) -> None:
    answer = service.decide(ALLOWED).json()
    assert set(answer) == {
        "decision",
        "allowed",
        "hold",
        "reason",
        "findings",
        "missing",
        "remedies",
        "obligations",
        "alternatives",
        "ignored_properties",
        "decision_id",
        "decided_at",
        "valid_until",
        "policy_version",
        "membership_revision",
        "model",
    }
    assert set(answer["reason"]) == {"code", "rule", "message", "public_code", "public_message"}
    assert set(answer["findings"][0]) == {
        "rule",
        "regime",
        "effect",
        "state",
        "hold",
        "codes",
        "citation",
        "message",
        "detail",
        "lifted_by",
        "review",
    }


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (_changed(colour="red"), "colour"),
        (_changed(subject={"type": "person", "id": "carol", "nationality": "US"}), "subject.nationality"),
        (_changed(place={"country": "US", "city": "Ohio"}), "place.city"),
        (_changed(destination={"land": "US"}), "destination.land"),
        (_changed(destination={"country": "UA", "subdivision": "Crimea"}), "destination.subdivision"),
        (_changed(destination={"country": "UA", "postcode": 95000}), "destination.postcode"),
        (_changed(claims={"licence": "x"}), "claims.licence"),
        (_changed(subject=None), "subject"),
        (_changed(subject={"type": "robot", "id": "x"}), "subject.type"),
        (_changed(subject={"type": "person"}), "subject.id"),
        (_changed(subject={"type": "person", "id": 7}), "subject.id"),
        (_changed(subject="carol"), "subject"),
        (_changed(model=None), "model"),
        (_changed(model=["mythos-5"]), "model"),
        (_changed(action="inferr"), "action"),
        (_changed(purpose=7), "purpose"),
        (_changed(place="US"), "place"),
        (_changed(place={"country": "usa"}), "place.country"),
        (_changed(place={"country": "us"}), "place.country"),
        (_changed(place={"country": "UA", "subdivision": "Crimea"}), "place.subdivision"),
        (_changed(fallbacks="opus-4.6"), "fallbacks"),
        (_changed(fallbacks=[1]), "fallbacks[0]"),
        (_changed(min_revision=-1), "min_revision"),
        (_changed(min_revision=True), "min_revision"),
        (_changed(min_revision=1.5), "min_revision"),
        (_changed(min_revision=2**70), "min_revision"),
        (_changed(request_id=""), "request_id"),
        (_changed(request_id="a b"), "request_id"),
        (_changed(subject={"type": "person", "id": "car\u0000ol"}), "subject.id"),
        (_changed(subject={"type": "person", "id": "car\u202eol"}), "subject.id"),
        (_changed(subject={"type": "person", "id": "cafe\u0301"}), "subject.id"),
        (_changed(subject={"type": "person", "id": "c\u0430rol"}), "subject.id"),
        (_changed(subject={"type": "person", "id": "\uff43arol"}), "subject.id"),
        (_changed(subject={"type": "person", "id": "\u212aarol"}), "subject.id"),
        (_changed(subject={"type": "person", "id": "x" * 201}), "subject.id"),
        (_changed(subject={"type": "person", "id": ""}), "subject.id"),
        (_changed(acting_for="har\nbor"), "acting_for"),
        (_changed(purpose="x\u0007"), "purpose"),
        (
            _changed(subject={"type": "person", "id": "carol", "properties": {"us_status": 7}}),
            "subject.properties.us_status",
        ),
        (_changed(subject={"type": "person", "id": "carol", "properties": []}), "subject.properties"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_field_is_400_and_named(service: Service, document: dict[str, Any], field: str) -> None:
    response = service.decide(document)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"].endswith("/malformed")
    assert field in [error["field"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'"x"', "object"),
        (b'{"model": NaN}', "NaN"),
        (b'{"min_revision": Infinity}', "Infinity"),
        (b'{"model": "a", "model": "b"}', "twice"),
        (b'{"subject": {"id": "a", "id": "b"}}', "twice"),
        (b'{"model": "\\ud800"}', "surrogate"),
        (b'{"model": "\xff"}', "UTF-8"),
        (b'{"min_revision": ' + b"9" * 5000 + b"}", "too long"),
        (b"[" * 2000 + b"]" * 2000, "deeper than 32"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "deeper than 32"),
        (b'{"purpose": "' + b"{" * 40 + b'"}', "required"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,
)
def test_a_malformed_body_is_400_and_says_why(service: Service, body: bytes, word: str) -> None:
    response = service.client.post("/decide", content=body, headers=service.key())
    assert response.status_code == 400
    assert word in json.dumps(response.json())


def test_a_body_over_the_limit_is_413_and_not_read_to_its_end(service: Service) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100 * 16):
            sent += 65536
            yield b" " * 65536

    response = service.client.post("/decide", content=b" " * (256 * 1024 + 1), headers=service.key())
    assert response.status_code == 413
    response = service.client.post("/decide", content=endless(), headers=service.key())
    assert response.status_code == 413
    declared = {**service.key(), "content-length": str(100 * 2**20)}
    assert service.client.post("/decide", content=b"{}", headers=declared).status_code == 413


def test_a_byte_order_mark_before_the_request_is_passed_over(service: Service) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(ALLOWED).encode()
    response = service.client.post("/decide", content=body, headers=service.key())
    assert (response.status_code, response.json()["decision"]) == (200, "allow")


def test_a_body_at_the_limit_is_read(service: Service) -> None:
    body = json.dumps(ALLOWED).encode()
    response = service.client.post("/decide", content=body.ljust(256 * 1024), headers=service.key())
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"subject": {"type": "person", "id": "nobody"}}, "SUBJECT_UNKNOWN"),
        ({"subject": {"type": "organisation", "id": "carol"}}, "SUBJECT_UNKNOWN"),
        ({"subject": {"type": "service", "id": "key-harbor"}}, "SUBJECT_UNKNOWN"),
        ({"subject": {"type": "person", "id": "Carol"}}, "SUBJECT_UNKNOWN"),
        ({"subject": {"type": "person", "id": "carol "}}, "SUBJECT_UNKNOWN"),
        ({"end_user": {"type": "organisation", "id": "nobody"}}, "SUBJECT_UNKNOWN"),
        ({"model": "mythos-6"}, "MODEL_UNKNOWN"),
        ({"model": "Mythos-5"}, "MODEL_UNKNOWN"),
        ({"model": "mythos-5 "}, "MODEL_UNKNOWN"),
        ({"acting_for": "nobody"}, "ASSERTION_CONFLICT"),
        ({"destination": {"country": "US", "host": "nobody"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "XX"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "US", "ip_country": "T1"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "US", "ip_country": "A1"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "US", "ip_country": ""}}, "LOCATION_UNKNOWN"),
        ({"place": {"ip_country": ""}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "US", "ip_country": "--"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "US", "ip_country": "us"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "US", "ip_country": "XX"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "US", "subdivision": "IR-07"}}, "EMBARGOED_TERRITORY"),
        ({"place": {"country": "US", "subdivision": "XX-07"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "UA", "subdivision": "UA-11"}}, "LOCATION_UNKNOWN"),
        ({"place": {"country": "UA", "subdivision": "UA-30", "postcode": "295000"}}, "LOCATION_UNKNOWN"),
        ({"destination": {"country": "UA"}}, "LOCATION_UNKNOWN"),
        ({"destination": {"country": "UA", "subdivision": "UA-43"}}, "EMBARGOED_TERRITORY"),
        ({"destination": {"country": "UA", "postcode": "95000"}}, "EMBARGOED_TERRITORY"),
    ],
    ids=str,
)
def test_what_is_not_known_is_a_recorded_deny_with_its_code(
    service: Service, changes: dict[str, Any], code: str
) -> None:
    answer = service.decide(_changed(**changes)).json()
    assert answer["decision"] == "deny"
    assert service.parts.log.read(answer["decision_id"]) is not None
    codes = {one for finding in answer["findings"] if finding["state"] == "deciding" for one in finding["codes"]}
    assert code in codes


def test_without_a_key_nothing_but_health_and_the_reference_answers(service: Service) -> None:
    for method, path in (("POST", "/decide"), ("GET", "/decisions/x")):
        response = service.client.request(method, path)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    for headers in ({"Authorization": "Bearer pe_x_y"}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}):
        assert service.client.post("/decide", json=ALLOWED, headers=headers).status_code == 401
    assert service.client.get("/livez").status_code == 200
    assert service.client.get("/readyz").status_code == 200
    assert service.client.get("/docs").status_code == 200
    assert service.client.get("/openapi.json").status_code == 200
    assert service.client.get("/redoc").status_code == 404


def test_a_key_does_only_what_its_rights_say(service: Service) -> None:
    assert service.decide(ALLOWED, service.key("decisions:read")).status_code == 403
    decided = service.decide(ALLOWED).json()["decision_id"]
    assert service.client.get(f"/decisions/{decided}", headers=service.key("decide")).status_code == 403
    assert service.client.get(f"/decisions/{decided}", headers=service.key("decisions:read")).status_code == 200


def test_a_revoked_key_opens_nothing(service: Service) -> None:
    headers = service.key()
    key_id = headers["Authorization"].split("_")[1]
    assert service.decide(ALLOWED, headers).status_code == 200
    assert service.parts.ring.revoke(key_id, service.now[0])
    assert service.decide(ALLOWED, headers).status_code == 401


def test_a_caller_without_explain_learns_no_rule_and_no_fact(service: Service) -> None:
    answer = service.decide(_changed(subject={"type": "person", "id": "ken"}, model="opus-4.6"), service.key("decide"))
    assert set(answer.json()) == {
        "decision",
        "allowed",
        "hold",
        "reason",
        "alternatives",
        "obligations",
        "decision_id",
        "decided_at",
        "valid_until",
        "policy_version",
        "membership_revision",
    }
    assert answer.json()["reason"].keys() == {"public_code", "public_message"}
    for word in ("OWNERSHIP", "beihe", "CN-CONTROLLED"):
        assert word not in answer.text


def test_the_request_id_header_is_echoed_unchanged(service: Service) -> None:
    for path in ("/livez", "/decisions/none", "/nowhere"):
        response = service.client.get(path, headers={"X-Request-ID": "Ab-1~x"})
        assert response.headers["x-request-id"] == "Ab-1~x"


def test_unknown_paths_and_methods_are_problems(service: Service) -> None:
    assert service.client.get("/nowhere").status_code == 404
    response = service.client.get("/decide")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.headers["content-type"] == "application/problem+json"
    missing = service.client.get("/decisions/none", headers=service.key())
    assert missing.status_code == 404


def test_a_retry_gives_the_same_decision_and_writes_nothing(service: Service) -> None:
    headers = service.key()
    first = service.decide(_changed(request_id="gw-1"), headers)
    second = service.decide(_changed(request_id="gw-1"), headers)
    assert first.content == second.content
    other = service.decide(_changed(request_id="gw-1", purpose="other"), headers)
    assert other.status_code == 409
    assert other.json()["type"].endswith("/request-id-conflict")


def test_a_retry_after_the_answer_has_expired_is_decided_anew(service: Service) -> None:
    headers = service.key()
    first = service.decide(_changed(request_id="gw-1"), headers).json()
    service.now[0] += timedelta(seconds=5)
    second = service.decide(_changed(request_id="gw-1"), headers).json()
    assert second["decision"] == "allow"
    assert first["decision_id"] != second["decision_id"]


def test_request_ids_of_two_callers_do_not_meet(service: Service) -> None:
    first = service.decide(_changed(request_id="gw-1"), service.key()).json()
    second = service.decide(_changed(request_id="gw-1", purpose="x"), service.key())
    assert second.status_code == 200
    assert first["decision_id"] != second.json()["decision_id"]


def test_a_membership_revision_that_is_not_here_is_503(service: Service) -> None:
    revision = service.decide(ALLOWED).json()["membership_revision"]
    assert service.decide(_changed(min_revision=revision)).status_code == 200
    response = service.decide(_changed(min_revision=revision + 1))
    assert response.status_code == 503
    assert response.json()["type"].endswith("/not-fresh")
    assert response.headers["retry-after"]


def test_a_change_of_the_members_counts_for_the_next_decision(service: Service) -> None:
    headers = service.key()
    assert service.decide(ALLOWED, headers).json()["decision"] == "allow"
    ended = replace(
        next(row for row in ROSTER.memberships if row.organisation == "harbor-cyber"),
        valid=replace(ROSTER.memberships[0].valid, end=service.now[0]),
    )
    change = service.parts.members.record(
        replace(ROSTER, memberships=(ended,)), actor="test", reason="left", at=service.now[0]
    )
    answer = service.decide(ALLOWED, headers).json()
    assert (answer["decision"], answer["reason"]["code"]) == ("deny", "MEMBERSHIP_EXPIRED")
    assert answer["membership_revision"] == change.revision


class _Unavailable:
    """A log that cannot be written."""

    alive = False

    def check(self) -> None:
        raise LogUnavailable("disk full")

    def append(self, _record: object) -> Future[Appended]:
        failed: Future[Appended] = Future()
        failed.set_exception(LogUnavailable("disk full"))
        return failed

    def append_all(self, _records: object) -> Future[tuple[Appended, ...]]:
        failed: Future[tuple[Appended, ...]] = Future()
        failed.set_exception(LogUnavailable("disk full"))
        return failed

    def read(self, _decision_id: str) -> bytes | None:
        raise LogUnavailable("disk full")


def test_without_a_record_nothing_is_answered(service: Service) -> None:
    service.parts.gate._log = _Unavailable()
    batch = service.client.post("/decide/batch", json={"requests": [ALLOWED]}, headers=service.key())
    assert (batch.status_code, batch.json()["type"]) == (503, "/problems/log-unavailable")
    response = service.decide(ALLOWED)
    assert response.status_code == 503
    assert response.json()["type"].endswith("/log-unavailable")
    assert response.headers["retry-after"]
    assert "allow" not in response.json().get("decision", "")


class _Broken(Judge):
    """A judge with a fault in it."""

    def verdict(self, question: Question) -> Verdict:
        raise KeyError(f"a fact about somebody, {question.request.subject.id}")


def test_a_fault_inside_the_engine_is_a_recorded_deny(migrated: Path, tmp_path: Path) -> None:
    with serving(copied(migrated, tmp_path), ROSTER, judge=_Broken(judge_for({}, None).book)) as service:
        answer = service.decide(ALLOWED).json()
        assert (answer["decision"], answer["reason"]["code"]) == ("deny", "ENGINE_FAULT")
        assert "somebody" not in json.dumps(answer)
        record = service.client.get(f"/decisions/{answer['decision_id']}", headers=service.key())
        assert record.json()["answer"] == answer


def test_a_record_that_would_be_too_long_is_a_recorded_deny(service: Service) -> None:
    properties = {f"property-{index}": ["x" * 190] * 50 for index in range(20)}
    document = _changed(subject={"type": "person", "id": "carol", "properties": properties})
    answer = service.decide(document).json()
    assert (answer["decision"], answer["reason"]["code"]) == ("deny", "ENGINE_FAULT")
    record = service.client.get(f"/decisions/{answer['decision_id']}", headers=service.key())
    assert len(record.content) <= 65_535
    assert set(record.json()["request"]) == {"sha256"}


def test_a_service_whose_log_takes_no_records_is_not_ready(service: Service) -> None:
    assert service.client.get("/readyz").json() == {"status": "ready"}
    service.parts.log.close()  # type: ignore[attr-defined]  # as when its writer has ended
    response = service.client.get("/readyz")
    assert response.status_code == 503
    assert "the log takes no records" in response.json()["detail"]
    assert service.decide(ALLOWED).status_code == 503


class Nothing:
    """An archive whose books are lost."""

    def judge(self, fingerprint: str, _archive: str, _freezes: tuple[Freeze, ...] = ()) -> Judge:
        raise BookLost(fingerprint)


def test_without_a_book_that_can_be_read_everything_is_denied(migrated: Path, tmp_path: Path) -> None:
    with serving(copied(migrated, tmp_path), ROSTER, judges=Nothing()) as service:
        answer = service.decide(ALLOWED).json()
        assert (answer["decision"], answer["reason"]["code"]) == ("deny", "NO_RULE")
        assert service.client.get("/readyz").status_code == 503
