"""`POST /decide` and `/decide/batch` are answered before the framework is asked, and by it, with the same bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.types import ASGIApp

from policy_engine.http.head import RequestHead
from policy_engine.service.gate.keyring import ROLES
from tests.api.service import Service, copied, serving
from tests.api.test_fuzz import ROSTER, Answered, Drawn, Fuzz, ask, table_of
from tests.conftest import CASES

DRAWN: Final = 300
PATHS: Final = ("/decide", "/decide/batch")


def _behind(app: Any) -> ASGIApp:
    """The application with the framework in front of every route."""
    while not hasattr(app, "router"):
        app = app._app
    return RequestHead(app)


@pytest.fixture
def both(migrated: Path, tmp_path: Path) -> Iterator[tuple[Service, Service]]:
    """Two services with the same members, clock and ids."""
    folders = (tmp_path / "direct", tmp_path / "framework")
    for folder in folders:
        folder.mkdir()
    first, second = (copied(migrated, folder) for folder in folders)
    with serving(first, ROSTER, published=True) as direct, serving(second, ROSTER, published=True) as framework:
        yield direct, framework


def _told(answered: Answered) -> tuple[int, dict[bytes, bytes], bytes]:
    return answered.status, answered.headers, answered.body


def _asked(path: str, body: bytes, headers: dict[str, str]) -> Drawn:
    return Drawn(method="POST", url=path, body=body, headers=headers, holder="", route=path)


def _compare(both: tuple[Service, Service], requests: list[Drawn], rights: tuple[tuple[str, ...], ...]) -> set[int]:
    direct, framework = both
    apps = (direct.client.app, _behind(framework.client.app))
    keys = [(direct.key(*held), framework.key(*held)) for held in rights]
    statuses = set()
    for turn, drawn in enumerate(requests):
        mine, other = keys[turn % len(keys)]
        told = []
        for app, key in zip(apps, (mine, other), strict=True):
            headers = {**key, **drawn.headers}
            told.append(_told(asyncio.run(ask(app, _asked(drawn.url, drawn.body or b"", headers)))))
        assert told[0] == told[1], drawn
        statuses.add(told[0][0])
    return statuses


def test_the_worked_examples_are_answered_with_the_same_bytes_both_ways(both: tuple[Service, Service]) -> None:
    bodies = [json.dumps(dict(case.document)).encode() for case in CASES]
    single = [_asked("/decide", body, {"X-Request-ID": "r-1"}) for body in bodies]
    together = [
        _asked("/decide/batch", b'{"requests":[' + b",".join(bodies[start : start + 50]) + b"]}", {})
        for start in range(0, len(bodies), 50)
    ]
    assert _compare(both, [*single, *together], (ROLES["desk"], ROLES["gateway"])) == {200}


def test_hostile_bodies_are_answered_with_the_same_bytes_both_ways(both: tuple[Service, Service]) -> None:
    routes = [route for route in table_of(both[0].client.app) if route.path in PATHS]
    fuzz = Fuzz(routes=routes, keys={"all": {}, "nobody": {}})
    drawn = [one for one in fuzz.requests(DRAWN) if one.method == "POST"]
    large = [_asked(path, b" " * (2**21), {}) for path in PATHS]
    keyless = [
        _asked(path, b"{}", {"Authorization": told}) for path in PATHS for told in ("", "Bearer pe_x_y", "Basic x")
    ]
    statuses = _compare(both, [*drawn, *large, *keyless], (ROLES["desk"], ROLES["auditor"], ROLES["gateway"]))
    assert {200, 400, 401, 403, 413} <= statuses


def test_an_error_is_answered_with_the_same_bytes_and_headers_both_ways(both: tuple[Service, Service]) -> None:
    newer = b'{"subject":{"type":"person","id":"ken"},"model":"opus-4.6","action":"infer","min_revision":999}'
    assert _compare(both, [_asked("/decide", newer, {})], (ROLES["gateway"],)) == {503}
