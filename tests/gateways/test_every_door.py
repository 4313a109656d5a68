"""Every door for gateways, asked the same hostile things: a refusal in its own words, and never an allow or a fault."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from fastapi.testclient import TestClient

from policy_engine.asgi import create_app
from policy_engine.domain.gateways import Profiles
from tests.api.service import Service, copied
from tests.gateways.conftest import PROFILES, demonstration
from tests.gateways.envoys import Engine, engine
from tests.gateways.every_door import (
    ALLOWED,
    DENIED,
    DOORS,
    GATEWAY,
    PROMPT,
    Door,
    Reached,
    allows,
    at_ports,
    in_its_dialect,
    in_process,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A real service, and the keys of its gateways."""

    reached: Reached
    engine: Engine

    @property
    def key(self) -> str:
        """Of the gateway whose profile reads every source."""
        return self.engine.keys[GATEWAY]


@pytest.fixture(scope="module")
def standing(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    folder = tmp_path_factory.mktemp("doors")
    with (
        engine(migrated, folder, PROFILES.read_text()) as served,
        at_ports(served.server.port, served.grpc_port) as reached,
    ):
        yield Standing(reached=reached, engine=served)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    """Each of the doors."""
    return DOORS[request.param]


Hostile = Callable[[Door], bytes]


def _named(*values: str) -> Hostile:
    return lambda door: door.naming(*map(door.pair, values))


def _escaped(door: Door) -> bytes:
    first, second = door.pair(f'"{ALLOWED}"'), door.pair(f'"{DENIED}"')
    return door.naming(first, second.replace(b'"', b'"\\u%04x' % second[1], 1).replace(second[1:2], b"", 1))


def _beside(member: bytes, value: str = DENIED) -> Hostile:
    """The model, and a member before it."""
    return lambda door: door.naming(member, door.pair(f'"{value}"'))


def _of_denied(made: Callable[[bytes], bytes]) -> Hostile:
    return lambda door: made(door.naming(door.pair(f'"{DENIED}"')))


HOSTILE: Final[dict[str, Hostile]] = {
    "two members, the denied one last": _named(f'"{ALLOWED}"', f'"{DENIED}"'),
    "two members, the denied one first": _named(f'"{DENIED}"', f'"{ALLOWED}"'),
    "two members that say the same": _named(f'"{ALLOWED}"', f'"{ALLOWED}"'),
    "a second key that is escaped": _escaped,
    "a byte-order mark": _of_denied(lambda body: b"\xef\xbb\xbf" + body),
    "compressed": _of_denied(gzip.compress),
    "said to be compressed": _of_denied(bytes),
    "a list with one denied": _named(f'["{ALLOWED}","{DENIED}"]'),
    "an object": _named(f'{{"id":"{ALLOWED}"}}'),
    "a number": _named("5"),
    "a truth value": _named("true"),
    "null": _named("null"),
    "an empty text": _named('""'),
    "a list in a text": _named(f'"{ALLOWED},{DENIED}"'),
    "another case": _named('"Opus-4.6"'),
    "a look-alike letter": _named('"\u043epus-4.6"'),
    "half of a pair of surrogates": _named('"opus-4.6\\ud800"'),
    "a control character": _named('"opus-4.6\\u0000"'),
    "the question in a list": lambda door: b"[" + door.body + b"]",
    "cut off": lambda door: door.body[:-1],
    "followed by another question": lambda door: door.body * 2,
    "bytes that are no text": lambda door: door.body.replace(b"opus", b"op\xffs"),
    "UTF-16": lambda door: door.body.decode().encode("utf-16"),
    "a number that is none": _beside(b'"x":NaN'),
    "a number beyond all bounds": _beside(b'"x":1e999'),
    "nested too deep": _beside(b'"x":' + b"[" * 2_000 + b"]" * 2_000),
    "nothing": lambda _: b"",
    "no JSON": lambda _: b"model=opus-4.6",
    "five megabytes with the model last": _beside(b'"x":"' + b"x" * 5_000_000 + b'"'),
}
GZIP: Final = {"compressed", "said to be compressed"}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_body_is_refused_in_the_words_of_the_door(standing: Standing, door: Door, what: str) -> None:
    lines = [("content-encoding", "gzip")] if what in GZIP else []
    answer = door.ask(standing.reached, standing.key, HOSTILE[what](door), lines)
    assert not allows(answer)
    assert answer.status_code < 500
    assert in_its_dialect(door, answer)
    assert PROMPT not in answer.text


def test_the_honest_question_is_allowed_whole_and_in_chunks_and_the_other_is_denied(
    standing: Standing, door: Door
) -> None:
    def chunks(body: bytes) -> Iterator[bytes]:
        yield body[:7]
        yield body[7:]

    assert allows(door.ask(standing.reached, standing.key))
    assert allows(door.ask(standing.reached, standing.key, chunks(door.body)))
    denied = door.naming(door.pair(f'"{DENIED}"'))
    for content in (denied, chunks(denied)):
        answer = door.ask(standing.reached, standing.key, content)
        assert not allows(answer)
        assert in_its_dialect(door, answer)


PATHS: Final = (
    "/models/opus-4.6/../opus-4.6/invoke",
    "/models/opus-4.6%2f..%2fmythos-5/invoke",
    "/models/%6fpus-4.6/invoke",
    "/models/./opus-4.6/invoke",
    "/models//opus-4.6/invoke",
    "/models/opus-4.6;x/invoke",
    "/models/opus-4.6/invoke%00",
    "/models\\opus-4.6\\invoke",
    "/models/opus-4.6/invoke?model=mythos-5",
    "/models/mythos-5/invoke",
)
TARGETED: Final = {name: door for name, door in DOORS.items() if door.targets}
WITHOUT_MODEL: Final = b'{"messages":[]}'


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", TARGETED)
def test_a_path_that_programs_read_differently_is_refused(standing: Standing, name: str, path: str) -> None:
    one = TARGETED[name]
    content = WITHOUT_MODEL if one.with_target is None else None
    # A plugin passes on no body, so that its profile reads none.
    key = standing.engine.keys["headers"] if name == "plugin" else standing.key
    assert allows(one.ask(standing.reached, key, content, target="/models/opus-4.6/invoke"))
    answer = one.ask(standing.reached, key, content, target=path)
    assert not allows(answer)
    assert answer.status_code < 500
    assert in_its_dialect(one, answer)


def test_a_prompt_is_in_no_file_of_ours_whichever_door_it_came_to(standing: Standing) -> None:
    for one in DOORS.values():
        bodies = [one.body, one.naming(one.pair(f'"{DENIED}"')), one.body[:-1], HOSTILE["a number"](one)]
        prompted = one.body[:-1] + f',"prompt":"{PROMPT}"}}'.encode()
        for content in (*bodies, prompted, f'"{PROMPT}"'.encode(), b'{"model":' + PROMPT.encode()):
            assert PROMPT not in one.ask(standing.reached, standing.key, content).text
    standing.engine.server.stop()
    folder = standing.engine.server.installation.folder
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {"service.db", "serve.out"} <= {path.name for path in written}
    assert any("tile" in path.parts for path in written)
    assert [path.name for path in written if PROMPT.encode() in path.read_bytes()] == []


# --- names that stand for two models ----------------------------------------------------------------------------------


@pytest.fixture
def misnamed(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    """A service in whose profiles a model's own name stands for another, as where the catalogue got the name later."""
    with demonstration(copied(migrated, tmp_path)) as running:
        parts = running.parts
        profile = parts.profiles.by_gateway[GATEWAY]
        aliased = replace(profile, aliases={DENIED: ALLOWED, "house": ALLOWED})
        profiles = Profiles(fingerprint=parts.profiles.fingerprint, by_gateway={GATEWAY: aliased})
        parts = replace(parts, profiles=profiles)
        with TestClient(create_app(parts), raise_server_exceptions=False) as client:
            yield replace(running, client=client, parts=parts)


GATEWAYS: Final = [name for name in DOORS if name not in {"decide", "batch"}]


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_models_own_name_is_never_judged_as_another_model(misnamed: Service, name: str) -> None:
    one, reached = DOORS[name], in_process(misnamed)
    key = misnamed.key("decide", gateway=GATEWAY)["Authorization"].removeprefix("Bearer ")
    assert allows(one.ask(reached, key, one.naming(one.pair('"house"'))))
    assert allows(one.ask(reached, key))
    answer = one.ask(reached, key, one.naming(one.pair(f'"{DENIED}"')))
    assert not allows(answer)
    assert in_its_dialect(one, answer)
    newest = misnamed.client.get("/decisions", headers=misnamed.key()).json()["decisions"][0]["answer"]
    assert newest["allowed"] is False
    assert "another model's name in the catalogue" in json.dumps(newest)


def test_a_models_own_name_beside_the_one_that_it_stands_for_is_denied_too(misnamed: Service) -> None:
    body = {
        "method": "POST",
        "target": "/v1/chat/completions",
        "headers": {"x-user-id": "carol"},
        "models": [ALLOWED, DENIED],
    }
    key = misnamed.key("decide", gateway=GATEWAY)
    told = misnamed.client.post("/gateways/decide", headers=key, json=body).json()
    assert told["allowed"] is False
    each = misnamed.client.post("/gateways/decide", headers=key, json={**body, "each": True}).json()
    assert [one["decision"] for one in each["answers"]] == ["allow", "deny"]


def test_no_search_finds_what_an_evaluation_would_deny_for_its_name(misnamed: Service) -> None:
    purpose = {"context": {"purpose": "defensive_cybersecurity"}, "action": {"name": "infer"}}
    body = {"subject": {"type": "person", "id": "carol"}, "resource": {"type": "ai_model"}, **purpose}
    key = misnamed.key("decide", gateway=GATEWAY)
    found = misnamed.client.post("/access/v1/search/resource", headers=key, json=body).json()["results"]
    assert ALLOWED in {one["id"] for one in found}
    assert DENIED not in {one["id"] for one in found}
