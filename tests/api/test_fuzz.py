"""Every route, asked what nobody should ask: it is never a fault of ours, and nothing is let through by it.

The routes are those of the application's own table, so a new one is asked from its first day.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

import pytest
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from policy_engine.asgi import create_app
from policy_engine.formats.membership_file import read_members
from policy_engine.service.audit.inspect import PARAMETERS
from policy_engine.service.gate.keyring import ROLES
from policy_engine.shapes.document import Body
from tests.api.service import Service, copied, serving
from tests.conftest import POLICIES

REQUESTS: Final = 3_000
"""So many are asked of the routes, drawn by one seed."""

ROSTER: Final = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
WITHOUT_A_KEY: Final = ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/.well-known/authzen-configuration")
BY_STATUS: Final = ("/ext_authz/{path:path}", "/forward-auth")
ENDLESS: Final = "/watch"
"""A stream, which is not answered to its end."""
UNAVAILABLE: Final = ("/problems/not-fresh",)
"""The only 503 that a request by itself may bring about."""

ALLOWED: Final[dict[str, Any]] = {
    "subject": {"type": "person", "id": "carol", "properties": {}},
    "acting_for": None,
    "model": "mythos-5",
    "action": "infer",
    "purpose": "defensive_cybersecurity",
    "place": {"country": "US", "subdivision": None, "postcode": None, "ip": "203.0.113.7", "ip_country": "US"},
    "end_user": None,
    "destination": {"country": "US", "host": "harbor-cyber"},
    "claims": {"exception": None},
    "fallbacks": ["opus-4.6"],
    "min_revision": 0,
    "request_id": "gw-1",
}
MEMBERS: Final[dict[str, Any]] = {
    "people": [{"id": "new", "citizenships": [{"country": "CN", "from": "1990-01-01", "to": None}]}],
    "ownership": [{"owner": "a", "owned": "b", "percent": "51", "from": "2020-01-01"}],
    "authorisations": [
        {"id": "D", "regime": "us-ear", "kind": "licence", "holder": "harbor-cyber", "models": ["mythos-5"]}
    ],
}


@dataclass(frozen=True, slots=True)
class Raw:
    """A piece of JSON as it is written."""

    text: str


DEEP: Final = Raw("[" * 40 + "]" * 40)
VALUES: Final[tuple[object, ...]] = (
    *(None, True, False, 0, -1, 1.5, 2**31, 2**63, -(2**63), 9999, 10_000, Raw("9" * 4_301), Raw("9" * 5_000)),
    *(Raw("1e400"), Raw("-1e999"), Raw("NaN"), Raw("Infinity"), Raw("1e-999"), DEEP, Raw('{"a":1,"a":2}')),
    *(
        "",
        " ",
        "\t",
        "\x00",
        "\x7f",
        "\u202e",
        "\ufeff",
        "\ud800",
        "a\udc00b",
        "é",
        "e\u0301",
        "\U0001f4a9",
        "x" * 5_000,
    ),
    *("9999-12-31T23:59:59.999999Z", "9999-12-31", "9999-12-31T23:59:59-14:00", "0001-01-01", "0000-00-00"),
    *("0001-01-01T00:00:00+14:00", "2026-06-13T15:00:00Z", "2026-02-30", "٢٠٢٦-٠٦-١٣", "now", "-1", "1" * 400),
    *("carol", "mythos-5", "harbor-cyber", "person:carol", "glasswing", "us_status", "none", "citizen", "XX", "T1"),
    *("../../etc/passwd", "sha256:" + "0" * 64, "=1+1", "' OR 1=1 --", "\r\nX: y", "$ref", "@", "мythos-5"),
    *(
        [],
        {},
        [None],
        [[]],
        ["\ud800"],
        ["x"] * 2_000,
        {"": None},
        {"\ud800": 1},
        {"id": {}},
        {"a": "\x00"},
        [{}] * 300,
    ),
)
SEGMENTS: Final = (
    *("x", "%00", "%0a", "%ff", "%ed%a0%80", "%f0%9f%92%a9", "%2e%2e%2f", "..%5c", "%25", "%", "-1", "9" * 19),
    *("9" * 4_301, "2026", "9999", "0000", "0", "checkpoint", "tile/entries/000", "tile/0/" + "x000/" * 50 + "000"),
    *("a" * 3_000, "RV-" + "A" * 24, "sha256:" + "0" * 64, "null", "carol", "e%CC%81", "+", ";a=b", "*", "%20"),
)
HEADERS: Final[tuple[dict[str, str], ...]] = (
    *({} for _ in range(8)),
    {"X-Request-ID": "x" * 2_000},
    {"X-Request-ID": "\u00e9"},
    {"Content-Type": "text/html; charset=utf-7"},
    {"Content-Length": "9" * 30},
    {"Accept": "\u00e9"},
)
TOKENS: Final = (
    "",
    "Bearer",
    "Bearer ",
    "Bearer pe_",
    "Bearer pe__",
    "Basic eDp5",
    "Bearer pe_x_" + "y" * 9_000,
    "\u00e9",
)
QUERIES: Final = (*PARAMETERS, "limit", "cursor", "format", "size", "known", "status", "reason", "at", "known_at", "")
FIELDS: Final = sorted(
    {name for shape in Body.__subclasses__() for name in shape.__struct_encode_fields__}
    | {"decisions", "subjects", "year", "requests", "semantic", "subject", "evaluation", "changes"}
)


@dataclass(slots=True)
class Drawn:
    """One request, and what to say of it where it fails."""

    method: str
    url: str
    body: bytes | None
    headers: dict[str, str]
    holder: str
    route: str


@dataclass(slots=True)
class Fuzz:
    """Draws requests for the routes of an application."""

    routes: list[Route]
    keys: dict[str, dict[str, str]]
    draw: random.Random = field(default_factory=lambda: random.Random(20261130))

    def requests(self, number: int) -> Iterator[Drawn]:
        for turn in range(number):
            # Each route comes up as often as any other, whatever the seed says.
            yield self.request(self.routes[turn % len(self.routes)])

    def request(self, route: Route) -> Drawn:
        draw = self.draw
        methods = sorted(route.methods or {"GET"})
        method = draw.choice(methods) if draw.random() < 0.95 else draw.choice(["PUT", "PATCH", "OPTIONS", "TRACE"])
        path = "".join("/" + (draw.choice(SEGMENTS) if "{" in part else part) for part in route.path.split("/")[1:])
        if draw.random() < 0.4:
            pairs = (
                f"{quote(draw.choice(QUERIES))}={quote(self._text(), safe='', errors='surrogatepass')}"
                for _ in range(draw.randint(1, 3))
            )
            path += "?" + "&".join(pairs)
        holder = draw.choice([*self.keys, "all", "all"])
        headers = {**draw.choice(HEADERS), **self.keys[holder]}
        if holder == "nobody":
            headers["Authorization"] = draw.choice(TOKENS)
        body = None if method in ("GET", "HEAD") and draw.random() < 0.9 else self._body(route.path)
        return Drawn(method=method, url=path, body=body, headers=headers, holder=holder, route=route.path)

    def _text(self) -> str:
        value = self.draw.choice(VALUES)
        return value if isinstance(value, str) else json.dumps(value, default=str)[:300]

    def _body(self, path: str) -> bytes:
        draw = self.draw
        if draw.random() < 0.05:
            return draw.choice(
                [b"", b"\xff", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"{", b'"x"', b"[]", b"\x00" * 99]
            )
        return self._written(self._mutated(self._sound(path)))

    def _sound(self, path: str) -> dict[str, object]:
        """A document that the route might take; for a route that is not known here, any known fields."""
        if path == "/decide":
            return dict(ALLOWED)
        if path == "/decide/batch":
            return {"requests": [self._mutated(dict(ALLOWED)), dict(ALLOWED)], "semantic": "execute_all"}
        if path == "/simulate":
            document = {"request": self._mutated(dict(ALLOWED)), "at": "2026-06-13T15:00:00Z", "members": MEMBERS}
            return {**document, "freezes": True} if self.draw.random() < 0.5 else {"request": dict(ALLOWED)}
        names = self.draw.sample(FIELDS, self.draw.randint(1, 5))
        sound: dict[str, object] = {name: self.draw.choice(VALUES) for name in names}
        for name in ("reason", "authority", "note", "rationale"):
            if self.draw.random() < 0.5:
                sound[name] = "because"
        return sound

    def _mutated(self, document: dict[str, object]) -> dict[str, object]:
        """With a value somewhere in it exchanged, or a name added."""
        changed = dict(document)
        for _ in range(self.draw.randint(0, 2)):
            name = self.draw.choice([*changed, "extra"])
            inner = changed.get(name)
            if isinstance(inner, dict) and inner and self.draw.random() < 0.7:
                changed[name] = self._mutated(inner)
            else:
                changed[name] = self.draw.choice(VALUES)
        return changed

    def _written(self, document: object) -> bytes:
        raws: list[str] = []

        def marked(value: object) -> object:
            if isinstance(value, Raw):
                raws.append(value.text)
                return f"@raw{len(raws) - 1}@"
            if isinstance(value, dict):
                return {name: marked(inner) for name, inner in value.items()}
            return [marked(inner) for inner in value] if isinstance(value, list) else value

        text = json.dumps(marked(document))
        for place, raw in enumerate(raws):
            text = text.replace(f'"@raw{place}@"', raw)
        return text.encode()


def table_of(app: Any) -> list[Route]:
    """The routes of an application, whatever is in front of it."""
    while not hasattr(app, "router"):
        app = app._app
    return [route for route in app.router.routes if isinstance(route, Route)]


@pytest.fixture
def service(migrated_file: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated_file, tmp_path), ROSTER, published=True) as running:
        yield running


def test_no_request_is_a_fault_of_the_service_or_lets_anything_through(service: Service) -> None:
    keys = {role: service.key(*rights, person=f"p-{role}") for role, rights in ROLES.items()}
    keys |= {"all": service.key(person="p-all"), "nobody": {}}
    app = create_app(service.parts)
    routes = [route for route in table_of(app) if route.path != ENDLESS]
    statuses: Counter[int] = Counter()
    asked: set[tuple[str, str]] = set()
    for drawn in Fuzz(routes=routes, keys=keys).requests(REQUESTS):
        response = asyncio.run(ask(app, drawn))
        said = f"{drawn.method} {drawn.url[:300]} as {drawn.holder}: {(drawn.body or b'')[:300]!r}"
        said += f" -> {response.status} {response.body[:300]!r}"
        statuses[response.status] += 1
        asked.add((drawn.route, drawn.holder))
        if drawn.route in BY_STATUS:
            # They speak to the clients of a gateway, and none of these keys is where a gateway's is looked for.
            assert response.status in {400, 401, 404}, said
            continue
        if response.status >= 400 and drawn.method != "HEAD":
            assert response.headers[b"content-type"] == b"application/problem+json", said
            problem = json.loads(response.body)
            assert problem["status"] == response.status, said
            assert problem["type"].startswith("/problems/"), said
            assert response.status < 500 or problem["type"] in UNAVAILABLE, said
        elif drawn.method == "HEAD":
            assert response.status < 500, said
        if drawn.holder == "nobody" and drawn.route not in WITHOUT_A_KEY:
            assert response.status in (401, 404, 405), said
        if response.status == 200:
            _require_sound(drawn, response.body, said)
    assert {route for route, _ in asked} == {route.path for route in routes}
    assert sum(statuses.values()) == REQUESTS
    # Some of what is asked has to be sound, or nothing was tried behind the first look at it.
    assert statuses[200] > REQUESTS / 20
    assert service.client.get("/readyz").status_code == 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def ask(app: ASGIApp, drawn: Drawn) -> Answered:
    """One request as the server hands it to the application; headers and paths need not be what a client would send."""
    raw_path, _, query = drawn.url.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": drawn.method,
        "scheme": "http",
        "root_path": "",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": [
            (b"host", b"h"),
            *((name.lower().encode(), value.encode("latin-1")) for name, value in drawn.headers.items()),
        ],
        "client": ("203.0.113.7", 4711),
        "server": ("127.0.0.1", 8181),
        "state": {},
    }
    sent: list[Message] = []
    pieces = [{"type": "http.request", "body": drawn.body or b"", "more_body": False}]

    async def receive() -> Message:
        if pieces:
            return pieces.pop()
        await asyncio.sleep(3_600)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    # What nobody foresaw is answered, and then raised on for the server to report.
    with suppress(Exception):
        await app(scope, receive, send)
    return Answered(
        status=sent[0]["status"],
        headers={name.lower(): value for name, value in sent[0]["headers"]},
        body=b"".join(message.get("body", b"") for message in sent[1:]),
    )


def _require_sound(drawn: Drawn, body: bytes, said: str) -> None:
    """What is answered with 200 comes by right, and an allow stands beside no bar."""
    if drawn.route not in ("/decide", "/decide/batch", "/simulate"):
        return
    right = "simulate" if drawn.route == "/simulate" else "decide"
    assert drawn.holder == "all" or right in ROLES[drawn.holder], said
    document = json.loads(body)
    for answer in document.get("answers", [document]):
        assert answer["allowed"] is (answer["decision"] == "allow"), said
        findings = answer.get("findings", ())
        deciding = {one["effect"] for one in findings if one["state"] == "deciding"}
        assert not findings or deciding == {"permit" if answer["allowed"] else "deny"}, said
