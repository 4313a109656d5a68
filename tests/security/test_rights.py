"""Every route with every right: the one that it needs opens it, and no other does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.routing import Route

from policy_engine.service.gate.keyring import RIGHTS
from tests.api.service import Service, copied, serving
from tests.security.rights import BY_STATUS, NEEDED, OPEN, PAGE, page

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@pytest.fixture(scope="module")
def service(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path_factory.mktemp("rights"))) as running:
        yield running


@pytest.fixture(scope="module")
def keys(service: Service) -> dict[str, dict[str, str]]:
    """The headers of one key for every right."""
    return {right: service.key(right, person="dora") for right in RIGHTS}


def routes(service: Service) -> dict[tuple[str, str], str]:
    """Every method and path that the application's table has, with an address to ask it at."""
    app: Any = service.client.app
    while not hasattr(app, "routes"):
        app = app._app
    return {
        (method, route.path): re.sub(r"\{(\w+):(?:int|year)\}", "2026", re.sub(r"\{(\w+)(:path)?\}", "x", route.path))
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or ())
        if method != "HEAD"
    }


def ask(service: Service, method: str, address: str, headers: dict[str, str]) -> tuple[int, str]:
    """The status and the kind of the problem."""
    if address.startswith("/watch"):
        # What is opened has no end here: an id that no event ever had is refused behind the door.
        headers = {**headers, "Last-Event-ID": "none"}
    response = service.client.request(method, address, headers=headers, content=b"{}" if method == "POST" else None)
    is_problem = response.headers.get("content-type", "").startswith("application/problem+json")
    return response.status_code, str(response.json()["type"]).rpartition("/")[2] if is_problem else ""


def test_every_route_of_the_application_says_which_right_it_needs(service: Service) -> None:
    by_status = {path for _, path in BY_STATUS}
    assert {place for place in routes(service) if place[1] not in by_status} == {*NEEDED, *OPEN}
    assert by_status < {path for _, path in routes(service)}


@pytest.mark.parametrize(("method", "path"), NEEDED, ids=lambda value: value)
def test_a_route_is_opened_by_its_right_alone(
    service: Service, keys: dict[str, dict[str, str]], method: str, path: str
) -> None:
    address = routes(service)[method, path]
    answers = {right: ask(service, method, address, headers) for right, headers in keys.items()}

    needed = NEEDED[method, path]
    assert {right for right, (_, problem) in answers.items() if problem != "forbidden"} == {needed}
    assert answers[needed][0] not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.INTERNAL_SERVER_ERROR)


@pytest.mark.parametrize(("method", "path"), NEEDED, ids=lambda value: value)
def test_a_route_is_closed_to_whoever_has_no_key_in_force(service: Service, method: str, path: str) -> None:
    address = routes(service)[method, path]
    good = service.key(NEEDED[method, path])["Authorization"]
    revoked = service.key(NEEDED[method, path])["Authorization"]
    key_id = revoked.removeprefix("Bearer ").split("_")[1]
    service.parts.ring.revoke(key_id, service.now[0])
    none: list[dict[str, str]] = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {good.removeprefix('Bearer ')}"},
        {"Authorization": good[:-1] + ("0" if good[-1] != "0" else "1")},
        {"Authorization": good + "0"},
        {"Authorization": f"Bearer pe_{key_id}_"},
        {"Authorization": revoked},
    ]

    assert {ask(service, method, address, headers) for headers in none} == {(401, "unauthenticated")}
    assert ask(service, method, f"{address}?key={good}&access_token={good}", {})[0] == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("path", [path for _, path in BY_STATUS])
def test_a_door_that_answers_by_status_is_opened_by_its_right_in_its_own_header_alone(
    service: Service, keys: dict[str, dict[str, str]], path: str
) -> None:
    address = path.replace("{path:path}", "v1/models")
    for right, headers in keys.items():
        token = headers["Authorization"].removeprefix("Bearer ")
        for method in ("GET", "POST", "PROPFIND"):
            own = service.client.request(method, address, headers={"X-Policy-Engine-Key": token})
            forbidden = own.json()["error"]["code"] == "gateway_forbidden"
            assert (own.status_code, forbidden) == (HTTPStatus.FORBIDDEN, right != BY_STATUS_RIGHT), (right, method)
            assert service.client.request(method, address, headers=headers).status_code == HTTPStatus.UNAUTHORIZED


BY_STATUS_RIGHT: Final = "decide"


def test_every_other_method_is_refused_without_doing_anything(service: Service) -> None:
    held = routes(service)
    everything = service.key()
    for path in sorted({path for _, path in held} - {path for _, path in BY_STATUS}):
        address = next(address for (_, other), address in held.items() if other == path)
        for method in METHODS:
            if not any(place in held for place in ((method, path),)):
                assert ask(service, method, address, everything)[0] in (404, 405), (method, path)


def test_the_page_has_every_route_and_role() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.security.rights writes it anew"
