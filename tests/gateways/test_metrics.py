"""`GET /metrics`: what it counts, that nobody is in it, and to whom it is open."""

from __future__ import annotations

import http.client
import threading
from http import HTTPStatus
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from policy_engine.app.builder import build
from policy_engine.app.settings import Settings
from policy_engine.asgi import create_app
from policy_engine.service.gate.tally import BUCKETS, MOST_GATEWAYS, NO_GATEWAY, OTHER, Tally
from tests.api.service import Service, copied
from tests.conftest import POLICIES
from tests.gateways.served import at_a_port

CAROL = {"subject": {"type": "person", "id": "carol"}, "model": "opus-4.6", "action": "infer"}
FROM_THE_US = {**CAROL, "place": {"ip_country": "US"}}


def figures(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels, read by the parser of the library that scrapers use."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(service: Service) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    response = service.client.get("/metrics", headers=service.key("metrics"))
    assert response.status_code == HTTPStatus.OK
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return figures(response.text)


def _decided(decision: str, code: str, action: str, gateway: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    labels = (("action", action), ("code", code), ("decision", decision), ("gateway", gateway))
    return "pdp_decisions_total", labels


def test_every_answer_is_counted_by_outcome_public_code_action_and_gateway(service: Service) -> None:
    headers = service.key("decide", gateway="edge")
    assert service.decide(FROM_THE_US, headers).json()["allowed"] is True
    code = service.decide(CAROL, headers).json()["reason"]["public_code"]
    batch = {"requests": [FROM_THE_US, FROM_THE_US, {"model": 1}]}
    assert service.client.post("/decide/batch", json=batch, headers=headers).status_code == HTTPStatus.OK

    told = scraped(service)
    assert told[_decided("allow", "ALLOWED", "infer", "edge")] == 3
    assert told[_decided("deny", code, "infer", "edge")] == 1
    assert told[_decided("deny", "INVALID_REQUEST", "none", "edge")] == 1
    assert told["pdp_decision_duration_seconds_count", ()] == 2
    assert told["pdp_decision_duration_seconds_bucket", (("le", "+Inf"),)] == 2
    assert told["pdp_decision_duration_seconds_sum", ()] > 0


def test_it_says_what_is_decided_on_and_what_waits(service: Service) -> None:
    told = scraped(service)
    ground = service.parts.gate.view.current()
    book = ground.desk.books[-1]
    assert told["pdp_membership_revision", ()] == ground.roster.revision == told["pdp_membership_revision_latest", ()]
    assert told["pdp_control_epoch", ()] == ground.epoch
    assert [dict(labels)["version"] for name, labels in told if name == "pdp_policy_version_info"] == [book.fingerprint]
    assert told["pdp_audit_entries", ()] == service.parts.entries.size()
    assert told["pdp_database_up", ()] == 1
    for name in ("pdp_audit_queue_depth", "pdp_listeners", "pdp_audit_sealing_alarm", "pdp_freezes"):
        assert told[name, ()] == 0
    assert told["process_resident_memory_bytes", ()] > 0


def test_no_person_model_place_or_key_is_in_it(service: Service) -> None:
    headers = service.key("decide", gateway="edge")
    for model in ("opus-4.6", "mythos-5", "a-model-that-a-client-made-up"):
        service.decide({**FROM_THE_US, "model": model, "purpose": "secret-purpose"}, headers)
    text = service.client.get("/metrics", headers=service.key("metrics")).text
    key = headers["Authorization"].split("_")[1]
    for word in ("carol", "opus-4.6", "mythos-5", "made-up", "secret-purpose", '"US"', key):
        assert word not in text


def test_without_the_database_it_says_so_and_still_answers_where_no_key_is_asked_for(
    migrated: Path, tmp_path: Path
) -> None:
    url = copied(migrated, tmp_path)
    parts = build(Settings(database_url=url, policies=POLICIES, metrics_without_key=True))
    try:
        with at_a_port(create_app(parts)) as address:
            Path(url.removeprefix("sqlite:///")).unlink()
            connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            told = figures(response.read().decode())
            connection.close()
    finally:
        parts.close()
    assert response.status == HTTPStatus.OK
    assert "pdp_audit_queue_depth" in {name for name, _ in told}


def test_gateways_beyond_a_hundred_and_codes_that_are_no_public_ones_are_counted_together() -> None:
    tally = Tally()
    for number in range(MOST_GATEWAYS + 50):
        tally.count(b'{"allowed":true,"reason":{"public_code":"ALLOWED"}}', "infer", f"gateway-{number}")
    tally.count(b'{"allowed":false,"reason":{"public_code":"carol of CN"}}', "infer", None)
    told = tally.decisions()
    assert sum(count for one, count in told.items() if one.gateway == OTHER) == 50
    assert len({one.gateway for one in told}) == MOST_GATEWAYS + 2
    assert {(one.code, one.gateway) for one in told if not one.allowed} == {(OTHER, NO_GATEWAY)}


def test_nothing_that_many_threads_count_at_once_is_lost() -> None:
    tally = Tally()

    def work() -> None:
        for number in range(2_000):
            tally.count(b'{"allowed":true,"reason":{"public_code":"ALLOWED"}}', "infer", "edge")
            tally.time(BUCKETS[number % len(BUCKETS)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(tally.decisions().values()) == sum(tally.times().counts) == 16_000
