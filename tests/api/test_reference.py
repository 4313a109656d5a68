"""The reference: complete, true, the same for everybody, and every example in it is answered as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from policy_engine.domain.catalogue import Tier
from policy_engine.formats.membership_file import read_members
from policy_engine.http.reference import WALKED
from policy_engine.service.gate.keyring import ROLES
from tests.api import examples
from tests.api.service import Service, copied, serving
from tests.conftest import POLICIES, judge_for
from tests.security.rights import BY_STATUS, NEEDED, OPEN

ROSTER: Final = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
DRAWN: Final = 8
"""So many requests are drawn for each route, and as many that the reference calls wrong."""

UNAVAILABLE: Final = "/problems/not-fresh"
"""The only 5xx that a request by itself may bring about."""


@pytest.fixture(scope="module")
def service(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path_factory.mktemp("reference")), ROSTER, published=True) as running:
        yield running


@pytest.fixture(scope="module")
def document(service: Service) -> dict[str, Any]:
    return dict(service.client.get("/openapi.json").json())


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def _plain(path: str) -> str:
    return re.sub(r":(year|path)\}", "}", path)


def test_the_reference_has_every_route_with_its_right_its_documents_and_its_problems(
    document: dict[str, Any], operations: dict[tuple[str, str], dict[str, Any]]
) -> None:
    assert document["openapi"] == "3.1.0"
    assert {(method, _plain(path)) for method, path in (*NEEDED, *BY_STATUS, *OPEN)} == set(operations)
    tags = {tag["name"] for tag in document["tags"]}
    for (method, path), right in NEEDED.items():
        operation = operations[method, _plain(path)]
        assert operation["security"] == [{"key": [right]}], path
        assert {"400", "401", "403", "500", "503"} <= set(operation["responses"]), path
    for (method, path), right in BY_STATUS.items():
        operation = operations[method, _plain(path)]
        assert operation["security"] == [{"gateway-key": [right]}], path
        assert {"200", "403", "503"} <= set(operation["responses"]), path
    for method, path in OPEN:
        assert "security" not in operations[method, path]
    for place, operation in operations.items():
        assert operation["tags"][0] in tags, place
        assert operation["description"], place
        assert any(status.startswith("2") for status in operation["responses"]), place
        assert ("requestBody" in operation) <= ("413" in operation["responses"]), place
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)


def test_every_document_and_member_that_is_named_is_there(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    named = set(re.findall(r'"\$ref": "#/components/(\w+)/([\w-]+)"', text))
    held = {(kind, name) for kind, all_of in document["components"].items() for name in all_of}
    assert named <= held
    assert {name for kind, name in held - named if kind == "schemas"} <= {"Action", "SubjectType"}
    assert "x-examples" in text  # each example says with which status it is answered


def test_what_is_open_to_everybody_is_the_same_whatever_is_on_file_and_in_force(
    service: Service, migrated: Path, tmp_path: Path
) -> None:
    with serving(copied(migrated, tmp_path), judge=judge_for({}, None)) as other:
        for path in ("/", "/docs", "/openapi.json"):
            assert service.client.get(path).content == other.client.get(path).content
    entries = judge_for({}, None).book.tables.catalogue.entries.values()
    hidden = [one.id for one in entries if one.tier not in (Tier.COMMODITY, Tier.DISTILLED)]
    assert hidden
    text = service.client.get("/openapi.json").text + service.client.get("/docs").text
    assert [name for name in hidden if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)] == []


class _Links(HTMLParser):
    """What a page names, and where its links go."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            if name == "id":
                self.ids.add(value or "")
            elif name in ("href", "src", "action"):
                self.links.add(value or "")


def test_the_page_has_every_route_and_document_and_fetches_nothing(service: Service, document: dict[str, Any]) -> None:
    response = service.client.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    assert response.headers["content-security-policy"] == policy
    read = _Links()
    read.feed(response.text)
    assert read.tags.isdisjoint({"script", "img", "link", "iframe", "form"})
    assert {link for link in read.links if not link.startswith("#")} == {"/openapi.json"}
    assert {link[1:] for link in read.links if link.startswith("#")} <= read.ids
    ids = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}
    assert ids | set(document["components"]["schemas"]) <= read.ids


def test_whoever_comes_to_the_front_is_told_what_this_is_and_where_the_reference_is(service: Service) -> None:
    told = service.client.get("/", headers={"Accept": "*/*"})
    assert told.json()["reference"] == "/docs"
    assert told.json()["openapi"] == "/openapi.json"
    page = service.client.get("/", headers={"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    read = _Links()
    read.feed(page.text)
    assert read.links == {"/docs", "/openapi.json", "/livez", "/readyz"}
    assert all(service.client.get(link).status_code == 200 for link in read.links)


def test_every_example_of_a_body_is_answered_as_the_reference_says(
    service: Service, document: dict[str, Any], operations: dict[tuple[str, str], dict[str, Any]]
) -> None:
    declared = schemathesis.openapi.from_dict(document)
    sent = 0
    for (method, path), operation in operations.items():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for name, example in content.get("examples", {}).items():
            if name == WALKED:
                continue
            (status,) = (
                int(status) for status, one in operation["responses"].items() if name in one.get("x-examples", ())
            )
            for rights in ((), tuple(NEEDED[method, path] for _ in range(1))):
                response = service.client.request(
                    method, path, json=example["value"], headers=service.key(*rights, person="dora")
                )
                assert response.status_code == status, (path, name, response.text)
                declared[path][method].validate_response(response)
                sent += 1
    assert sent >= 12


NOT_SHOWN: Final = ("/docs", "/openapi.json", "/watch", "/metrics")
"""A page, the document itself, what has no end, and what is another each time."""


def test_every_route_shows_what_is_sent_and_what_is_answered(
    document: dict[str, Any], operations: dict[tuple[str, str], dict[str, Any]]
) -> None:
    components = {"components": document["components"]}
    for place, operation in operations.items():
        if place[1].startswith(NOT_SHOWN):
            continue
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["examples"][WALKED]["value"], place
        shown = [
            (media, media["examples"][WALKED]["value"])
            for status, answer in operation["responses"].items()
            if status.startswith("2")
            for media in answer["content"].values()
            if "examples" in media
        ]
        assert len(shown) == 1, place
        for media, value in shown:
            if "schema" in media:
                jsonschema_rs.Draft202012Validator({**media["schema"], **components}).validate(value)


@pytest.mark.slow
def test_the_examples_are_what_a_walk_through_the_service_is_answered() -> None:
    assert examples.document() == examples.FILE.read_text(encoding="utf-8")


CHECKED: Final = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


@pytest.mark.parametrize("holder", ["all", "gateway", "auditor"])
def test_what_is_drawn_from_the_reference_is_answered_as_it_says(
    service: Service, document: dict[str, Any], holder: str
) -> None:
    load_all_checks()
    checks = CHECKS.get_by_names(list(CHECKED))
    headers = service.key(*ROLES.get(holder, ()), person=f"p-{holder}")
    statuses: dict[str, set[int]] = {}
    # The key is this test's: to leave it out is tried elsewhere.
    keyless = {
        path: {method: {**one, "security": []} for method, one in held.items()}
        for path, held in document["paths"].items()
        # Those that answer by a status have another key and hostile requests of their own; what has no end, too.
        if path not in {"/watch", *(_plain(own) for _, own in BY_STATUS)}
    }
    for found in schemathesis.openapi.from_dict({**document, "paths": keyless}).get_all_operations():
        operation: Any = found
        operation = operation.ok()  # of a route that cannot be read it raises
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if holder == "all" else (GenerationMode.POSITIVE,)
        for mode in modes:
            seen = statuses.setdefault(operation.label, set())

            drawn = settings(_BOUNDED, max_examples=DRAWN if holder == "all" else 2)
            # Of what takes nothing but texts in its path nothing can be wrong.
            with suppress(Unsatisfiable):
                drawn(
                    given(case=operation.as_strategy(generation_mode=mode))(_asking(service, headers, checks, seen))
                )()
    refused = {label for label, seen in statuses.items() if seen <= {401, 403}}
    if holder == "all":
        assert not refused
        # Some of what is drawn has to be sound, or nothing was tried behind the first look at it.
        assert sum(bool(seen & {200, 201, 202}) for seen in statuses.values()) > len(statuses) / 3
    else:
        opened = {f"{method} {_plain(path)}" for (method, path), right in NEEDED.items() if right in ROLES[holder]}
        assert refused == {f"{method} {_plain(path)}" for method, path in NEEDED} - opened - {"GET /watch"}


_BOUNDED: Final = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _asking(service: Service, headers: dict[str, str], checks: list[Any], seen: set[int]) -> Callable[[Any], None]:
    """Asks what was drawn, and holds the answer against the reference."""

    def ask(case: Any) -> None:
        sent = case.as_transport_kwargs(base_url="http://testserver", headers=headers)
        response = service.client.request(**_as_sent(sent))
        if response.status_code >= 500:
            assert response.json()["type"] == UNAVAILABLE, (case, response.text)
        seen.add(response.status_code)
        case.validate_response(response, checks=checks)

    return ask


def _as_sent(sent: dict[str, Any]) -> dict[str, Any]:
    """The arguments of one client for another."""
    content = sent.pop("data", None)
    known: dict[str, Any] = {
        name: sent[name] for name in ("method", "url", "headers", "params", "json") if name in sent
    }
    if content is not None:
        known["content"] = content if isinstance(content, str | bytes) else json.dumps(content)
    return {name: value for name, value in known.items() if value is not None}
