"""Spans from each door to the commit, as a real collector is sent them, and nothing of anybody in any of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from policy_engine.app.builder import build
from policy_engine.app.settings import Settings
from policy_engine.app.tracing import TracingMissing
from policy_engine.formats.membership_file import read_members
from policy_engine.gateways.grpc_check import CHECK, listening
from tests.api.service import Service, copied, serving
from tests.conftest import POLICIES, ROOT
from tests.gateways.collecting import Collector, collecting
from tests.gateways.conftest import PROFILES, keyed
from tests.gateways.test_grpc_check import KEY, sent

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
SENDER: Final = "00f067aa0ba902b7"
CAROL: Final = {
    "subject": {"type": "person", "id": "carol"},
    "model": "opus-4.6",
    "action": "infer",
    "place": {"ip_country": "US"},
}
AUTHZEN: Final = {
    "subject": {"type": "person", "id": "carol"},
    "action": {"name": "infer"},
    "resource": {"type": "model", "id": "opus-4.6"},
    "context": {"place": {"ip_country": "US"}},
}
HEAD: Final = {"x-user-id": "carol", "x-geo-country": "US", "x-model": "opus-4.6"}
FORWARDED: Final = {**HEAD, "x-forwarded-method": "POST", "x-forwarded-uri": "/v1/chat/completions"}
PLUGIN: Final = {"method": "POST", "target": "/v1/chat/completions", "models": ["opus-4.6"], "headers": HEAD}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@contextmanager
def following(folder: Path, migrated: Path, address: str) -> Iterator[Service]:
    """The demonstration roster and the tests' profiles, with spans sent to an address twenty times a second."""
    roster = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    url = copied(migrated, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        # What the framework would send by itself goes to the same place.
        patch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address.removesuffix("/v1/traces"))
        with serving(url, roster, published=True, gateways=PROFILES, settings={"traces": address}) as running:
            yield running


@pytest.fixture(scope="module")
def service(collector: Collector, migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with following(tmp_path_factory.mktemp("tracing"), migrated, collector.address) as running:
        yield running


def trace_of(number: int) -> str:
    return f"{number:032x}"


def traceparent(trace: str = TRACE) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{SENDER}-01"}


def test_a_decision_is_a_tree_of_gateway_decide_and_commit_below_the_span_of_whoever_sent_it(
    service: Service, collector: Collector
) -> None:
    headers = {**service.key("decide", gateway="edge"), **traceparent()}
    answer = service.decide(CAROL, headers).json()
    spans = collector.trace(TRACE, "POST /decide", "decide", "commit")

    door, decide, commit = spans["POST /decide"], spans["decide"], spans["commit"]
    assert (door.parent, decide.parent, commit.parent) == (SENDER, door.id, decide.id)
    assert door.attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/decide",
    }
    assert decide.attributes == {
        "pdp.decision": "allow",
        "pdp.code": "ALLOWED",
        "pdp.action": "infer",
        "pdp.decision_id": answer["decision_id"],
        "pdp.questions": 1,
        "pdp.gateway": "edge",
    }
    assert commit.attributes == {}
    assert door.resource["service.name"] == "policy-engine"


DOORS: Final[dict[str, tuple[str, dict[str, str], Any, str]]] = {
    "batch": ("/decide/batch", {}, {"requests": [CAROL, {**CAROL, "model": "mythos-5"}]}, "POST /decide/batch"),
    "ext_authz": ("/ext_authz/v1/chat/completions", HEAD, None, "POST /ext_authz/"),
    "forward-auth": ("/forward-auth", FORWARDED, None, "POST /forward-auth"),
    "plugin": ("/gateways/decide", {}, PLUGIN, "POST /gateways/decide"),
    "authzen": ("/access/v1/evaluation", {}, AUTHZEN, "POST /access/v1/evaluation"),
    "opa": ("/v1/data/policy_engine/decide", {}, {"input": {}}, "POST /v1/data/policy_engine/decide"),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_up_the_span_of_its_gateway(service: Service, collector: Collector, door: str) -> None:
    path, head, body, name = DOORS[door]
    trace = trace_of(100 + list(DOORS).index(door))
    own = keyed(service, "headers") if head else service.key("decide", gateway="headers")
    answer = service.client.post(path, headers={**own, **head, **traceparent(trace)}, json=body)
    assert answer.status_code == 200
    spans = collector.trace(trace, name, "decide", "commit")
    assert spans[name].parent == SENDER
    assert spans["decide"].parent == spans[name].id
    assert spans["commit"].parent == spans["decide"].id
    if door == "batch":
        ids = [one["decision_id"] for one in answer.json()["answers"]]
        assert spans["decide"].attributes["pdp.decision_id"] == ids
        assert spans["decide"].attributes["pdp.decision"] == "deny"


def test_envoy_over_grpc_has_the_span_of_its_call_taken_up(service: Service, collector: Collector) -> None:
    key, trace = keyed(service, "headers")["X-Policy-Engine-Key"], trace_of(7)

    async def asked() -> bytes:
        async with listening(service.parts, "127.0.0.1", 0) as address, grpc.aio.insecure_channel(address) as channel:
            call: Any = channel.unary_unary(CHECK)
            lines = ((KEY, key), ("traceparent", traceparent(trace)["traceparent"]))
            answer: bytes = await call(sent(HEAD), metadata=lines)
            return answer

    assert service.client.portal is not None
    service.client.portal.call(asked)
    name = CHECK.strip("/")
    spans = collector.trace(trace, name, "decide", "commit")
    assert spans[name].parent == SENDER
    assert spans["decide"].parent == spans[name].id
    assert spans[name].attributes["rpc.system"] == "grpc"


@pytest.mark.parametrize("given", ["", "x", f"00-{TRACE}", f"00-{'0' * 32}-{SENDER}-01", f"zz-{TRACE}-{SENDER}-01"])
def test_what_names_no_span_begins_a_trace_of_its_own(service: Service, collector: Collector, given: str) -> None:
    headers = {**service.key("decide"), "traceparent": given}
    answer = service.decide(CAROL, headers).json()

    def own() -> list[str]:
        return [one.trace for one in collector.spans if one.attributes.get("pdp.decision_id") == answer["decision_id"]]

    with collector.arrived:
        assert collector.arrived.wait_for(own, 20)
    (trace,) = own()
    assert trace != TRACE
    assert collector.trace(trace, "POST /decide")["POST /decide"].parent == ""


CANARY: Final = "CANARY"


def test_nothing_of_a_person_a_client_a_model_or_an_error_is_in_any_span(
    service: Service, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(collector.bodies)
    said = {
        "tracestate": f"a={CANARY}",
        "baggage": f"a={CANARY}",
        "user-agent": CANARY,
        "x-request-id": CANARY,
        "x-user-id": f"{CANARY}-person",
        "x-model": f"{CANARY}-model",
        "x-geo-country": "AQ",
        "x-purpose": CANARY,
        "x-forwarded-method": "POST",
        "x-forwarded-uri": f"/v1/chat/completions?prompt={CANARY}",
    }
    last = trace_of(9)
    gateway = {**keyed(service, "headers"), **said, **traceparent(trace_of(8))}
    everything = {**service.key(), **said, **traceparent(trace_of(8))}
    document = {**CAROL, "subject": {"type": "person", "id": CANARY}, "model": CANARY, "purpose": CANARY}
    ask = service.client
    ask.post(f"/ext_authz/models/{CANARY}/invoke?q={CANARY}", headers=gateway, content=CANARY)
    ask.request(CANARY, "/forward-auth", headers=gateway)
    ask.get("/forward-auth", headers=gateway)
    ask.post("/decide", json=document, headers=everything)
    ask.post("/decide", json={CANARY: CANARY}, headers=everything)
    ask.post("/decide/batch", json={"requests": [document, {CANARY: CANARY}]}, headers=everything)
    ask.post("/gateways/decide", json={**PLUGIN, "models": [CANARY]}, headers=everything)
    ask.post("/access/v1/evaluation", json={**AUTHZEN, "resource": {"type": "model", "id": CANARY}}, headers=everything)
    ask.get(f"/members/person/{CANARY}?at={CANARY}", headers=everything)
    ask.get(f"/{CANARY}/{CANARY}?{CANARY}={CANARY}", headers=everything)
    ask.get(f"/decisions?subject=person:{CANARY}", headers=everything)

    def boom(*_: object, **__: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(service.parts.gate, "_new_id", boom)
    assert ask.post("/decide", json=document, headers={**everything, **traceparent(last)}).status_code == 500
    spans = collector.trace(last, "POST /decide", "decide")
    assert spans["decide"].is_error
    assert spans["decide"].attributes == {"error.type": "RuntimeError"}
    assert spans["POST /decide"].attributes["http.response.status_code"] == 500

    collected = b"".join(collector.bodies[before:])
    assert len(collector.spans) > 20
    for secret in (CANARY.encode(), b"carol", b"AQ", b"opus-4.6", b"mythos"):
        assert secret not in collected
    routes = {one.attributes.get("http.route") for one in collector.spans if one.trace == trace_of(8)}
    assert {"/members/{kind}/{name}", "/ext_authz/", "/decisions"} <= routes


@pytest.mark.parametrize("trouble", ["hangs", "refuses", "is down"])
def test_a_collector_in_trouble_touches_no_answer_and_keeps_no_service_from_ending(
    trouble: str, migrated: Path, tmp_path: Path
) -> None:
    with collecting(hangs=trouble == "hangs", status=503) as broken:
        address = "http://127.0.0.1:1/v1/traces" if trouble == "is down" else broken.address
        with following(tmp_path, migrated, address) as service:
            headers = service.key("decide")
            for _ in range(5):
                assert service.decide(CAROL, headers).json()["allowed"] is True
            if trouble != "is down":
                assert broken.asked.wait(20)
            assert service.decide(CAROL, headers).json()["allowed"] is True
        # The service has ended, while the collector may still be silent.
        assert not broken.over.is_set()


def test_a_service_without_the_setting_imports_nothing_that_makes_or_sends_spans(
    migrated: Path, tmp_path: Path
) -> None:
    program = (
        "import sys; from policy_engine.app.builder import build; from policy_engine.app.settings import Settings\n"
        "from policy_engine.asgi import create_app; parts = build(Settings()); create_app(parts); parts.close()\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    environment = {"POLICY_ENGINE_DATABASE_URL": copied(migrated, tmp_path), "POLICY_ENGINE_POLICIES": str(POLICIES)}
    done = subprocess.run(  # noqa: S603  this interpreter
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    assert done.stdout.strip() == "[]"


def test_without_the_packages_the_setting_is_refused_with_what_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(TracingMissing, match=r"-r requirements/otel\.txt"):
        build(Settings(traces="http://127.0.0.1:1/v1/traces", database_url="sqlite://", policies=POLICIES))


@pytest.mark.parametrize("address", ["127.0.0.1:4318", "http://127.0.0.1:4318", "grpc://x/", "http://x/ y"])
def test_an_address_that_is_no_collectors_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="whole address of a collector"):
        Settings(traces=address)
