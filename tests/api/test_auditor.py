"""What an auditor asks over HTTP: pages that stay the same, records byte for byte, faults that name themselves."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import Engine, delete, update

from policy_engine.api import auditor
from policy_engine.domain.changes import MembersAsked
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import LogDamaged, LogUnavailable
from policy_engine.http import errors
from policy_engine.render.export import COLUMNS
from policy_engine.service.audit.inspect import PARAMETERS, Inspector
from policy_engine.service.audit.on_file import RecordedLooks
from policy_engine.service.gate.keyring import RIGHTS, KeyRing, KeysAlone
from policy_engine.service.gate.pools import Pools
from policy_engine.service.sealing.sealed_roots import Tree
from policy_engine.store.database import open_database, writing
from policy_engine.store.decision_index import Indexer
from policy_engine.store.decision_log import DecisionLog
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.index_search import DecisionIndex
from policy_engine.store.keys import Keys
from policy_engine.store.member_history import MemberHistory
from policy_engine.store.members import Members
from policy_engine.store.tables import decision_index, decision_index_progress
from tests.api.service import NOON, copied, serving
from tests.records import BEGIN, Entered, entered, lose, put
from tests.service.decisions import DEMO

GIVEN: Final = entered(250)


@dataclass(slots=True, kw_only=True)
class Office:
    """An auditor's client and what stands behind it. `checkpoints` ends with the newest sealed checkpoint, if any."""

    client: TestClient
    engine: Engine
    ring: KeyRing
    app: FastAPI
    indexer: Indexer
    index: DecisionIndex
    checkpoints: list[tuple[int, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **parameters: str | int) -> Response:
        response: Response = self.client.get(path, params=parameters, headers=self.headers)
        return response

    def key(self, *rights: str) -> dict[str, str]:
        made = self.ring.create(name="auditor", rights=rights, at=NOON, random_hex=secrets.token_hex)
        return {"Authorization": f"Bearer {made.token}"}

    def pages(self, limit: int, **parameters: str) -> Iterator[dict[str, Any]]:
        cursor: dict[str, str] = {}
        while True:
            response = self.get("/decisions", limit=limit, **parameters, **cursor)
            assert response.status_code == 200, response.text
            page = response.json()
            yield page
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}


@contextmanager
def office(url: str) -> Iterator[Office]:
    engine = open_database(url)
    log = DecisionLog(engine)
    keys = Keys(engine)
    ring = KeyRing(keys, KeysAlone(keys), frozenset)
    indexer, index = Indexer(engine), DecisionIndex(engine)
    checkpoints: list[tuple[int, str]] = []

    def trees(size: int | None) -> Tree | None:
        return next(
            (
                Tree(log_size=sealed, origin="here/2026", size=sealed, root=root)
                for sealed, root in reversed(checkpoints)
                if size in (None, sealed)
            ),
            None,
        )

    inspector = Inspector(
        index=index,
        indexer=indexer,
        desk_log=DeskLog(engine),
        cursor_key=b"k" * 32,
        trees=trees,
    )
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    pools = Pools()
    app.router.routes[:0] = auditor.router.routes
    app.state.parts = SimpleNamespace(
        log=log,
        ring=ring,
        inspector=inspector,
        pools=pools,
        history=MemberHistory(engine),
        looks=RecordedLooks(DeskLog(engine), clock=lambda: NOON, new_id=lambda _: secrets.token_hex(8)),
    )
    errors.install(app)
    with TestClient(app, raise_server_exceptions=False) as client:
        made = Office(
            client=client,
            engine=engine,
            ring=ring,
            app=app,
            indexer=indexer,
            index=index,
            checkpoints=checkpoints,
        )
        made.headers = made.key("decisions:read")
        yield made
    pools.close()
    log.close()
    engine.dispose()


@pytest.fixture
def desk(migrated: Path, tmp_path: Path) -> Iterator[Office]:
    """An office over a log of 250 decisions."""
    url = copied(migrated, tmp_path)
    engine = open_database(url)
    put(engine, GIVEN)
    engine.dispose()
    with office(url) as opened:
        opened.indexer.catch_up(10**6)
        yield opened


def newest_first(given: tuple[Entered, ...] = GIVEN) -> list[Entered]:
    return sorted(given, key=lambda one: (one.at, one.log_index), reverse=True)


def names(page: dict[str, Any]) -> list[str]:
    return [one["answer"]["decision_id"] for one in page["decisions"]]


def test_a_page_has_the_newest_decisions_and_each_record_byte_for_byte(desk: Office) -> None:
    response = desk.get("/decisions", limit=7)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    page = msgspec.json.decode(response.content, type=dict[str, msgspec.Raw])
    assert list(page) == ["decisions", "next_cursor", "as_of"]
    bodies = msgspec.json.decode(page["decisions"], type=list[msgspec.Raw])
    assert [bytes(body) for body in bodies] == [one.body for one in newest_first()[:7]]
    assert response.json()["as_of"]["root"] is None
    assert response.json()["as_of"]["size"] > GIVEN[-1].log_index


def test_without_a_limit_a_page_has_a_hundred(desk: Office) -> None:
    assert len(desk.get("/decisions").json()["decisions"]) == 100


def test_a_log_without_decisions_gives_an_empty_page(migrated: Path, tmp_path: Path) -> None:
    with office(copied(migrated, tmp_path)) as empty:
        page = empty.get("/decisions").json()
    assert page["decisions"] == []
    assert page["next_cursor"] is None


def test_pages_are_together_the_whole_while_decisions_come_in_between(desk: Office) -> None:
    found: list[str] = []
    sizes = set()
    first = desk.index.size()
    for number, page in enumerate(desk.pages(33)):
        found += names(page)
        sizes.add(page["as_of"]["size"])
        more = entered(3, first=first + 3 * number, seed=number, changes_too=False)
        put(desk.engine, more)
        desk.indexer.catch_up(100)

    assert found == [one.id for one in newest_first()]
    assert len(sizes) == 1
    assert desk.get("/decisions", limit=1).json()["as_of"]["size"] > max(sizes)


@pytest.mark.parametrize(
    ("name", "value", "meets"),
    [
        ("decision", "allow", lambda told: told.allowed),
        ("hold", "true", lambda told: told.hold),
        ("hold", "false", lambda told: not told.hold),
        ("subject", "carol", lambda told: told.request.subject.id == "carol"),
        ("subject", "person:carol", lambda told: told.request.subject.id == "carol"),
        ("subject", "account:carol", lambda _: False),
        ("model", "opus-4.6", lambda told: told.model == "opus-4.6"),
        ("tier", "classified", lambda told: told.tier == "classified"),
        ("action", "release", lambda told: told.request.action == "release"),
        ("place_country", "JP", lambda told: told.request.place.country == "JP"),
        ("gateway", "batch", lambda told: told.caller.gateway == "batch"),
        ("request_id", "r-7", lambda told: told.request.request_id == "r-7"),
        ("organisation", "harbor-cyber", lambda told: "harbor-cyber" in {one.organisation for one in told.parties}),
        ("organisation_country", "JP", lambda told: "JP" in {one.known.incorporated for one in told.parties}),
        ("citizenship_country", "IR", lambda told: any("IR" in (one.known.citizenships or ()) for one in told.parties)),
        ("regime", "us-order", lambda told: "us-order" in {row.regime for row in told.findings}),
        ("rule", "US-COM-2026-06-12", lambda told: "US-COM-2026-06-12" in {row.rule for row in told.findings}),
        ("code", "MODEL_UNKNOWN", lambda told: any("MODEL_UNKNOWN" in row.codes for row in told.findings)),
        ("from", "2026-06-03T00:00:00Z", lambda told: told.decided_at.day >= 3),
        ("to", "2026-06-03", lambda told: told.decided_at.day < 3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_filter_leaves_what_meets_it(desk: Office, name: str, value: str, meets: Any) -> None:
    found = [one for page in desk.pages(1000, **{name: value}) for one in names(page)]
    wanted = [one.id for one in newest_first() if meets(one.read)]
    if name != "organisation":
        assert found == wanted
    # Who asks for an organisation also gets those for which somebody only claimed to act.
    assert set(wanted) <= set(found)
    assert len(found) < len(GIVEN)


def test_the_policy_version_is_a_filter(desk: Office) -> None:
    version = GIVEN[0].read.policy_version
    assert len(desk.get("/decisions", policy_version=version, limit=1000).json()["decisions"]) == len(GIVEN)
    assert desk.get("/decisions", policy_version="sha256:0").json()["decisions"] == []


def test_the_filters_are_those_of_the_contract() -> None:
    assert " ".join(PARAMETERS) == (
        "from to decision hold subject organisation place_country citizenship_country organisation_country model tier"
        " action regime rule deciding_rule code gateway policy_version request_id"
    )


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("modell=x", "modell"),
        ("model=x&model=x", "model"),
        ("limit=1&limit=1", "limit"),
        ("authorisation=D-1", "authorisation"),
        ("decision=maybe", "decision"),
        ("hold=1", "hold"),
        ("tier=secret", "tier"),
        ("action=use", "action"),
        ("regime=us", "regime"),
        ("code=NO_SUCH_CODE", "code"),
        ("place_country=us", "place_country"),
        ("place_country=USA", "place_country"),
        ("from=yesterday", "from"),
        ("to=2026-06-12T21:21:00", "to"),
        ("from=2026-06-12&to=2026-06-11", "to"),
        ("subject=", "subject"),
        ("subject=a%00b", "subject"),
        ("model=" + "x" * 301, "model"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=", "limit"),
        ("cursor=", "cursor"),
        ("cursor=AAAA", "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("cursor=bnVsbA", "cursor"),
        ("format=jsonl", "format"),
    ],
)
def test_a_parameter_that_is_none_is_400_and_named(desk: Office, query: str, named: str) -> None:
    response = desk.client.get(f"/decisions?{query}", headers=desk.headers)
    assert response.status_code == 400
    problem = response.json()
    assert problem["type"].endswith("/malformed")
    assert [error["field"] for error in problem["errors"]] == [named]


def test_a_cursor_belongs_to_its_filters_and_cannot_be_altered(desk: Office) -> None:
    cursor = desk.get("/decisions", limit=5, decision="deny").json()["next_cursor"]
    assert desk.get("/decisions", limit=9, decision="deny", cursor=cursor).status_code == 200

    for parameters in ({}, {"decision": "allow"}, {"decision": "deny", "model": "opus-4.6"}):
        response = desk.get("/decisions", cursor=cursor, **parameters)
        assert response.status_code == 400
        assert response.json()["errors"][0]["message"] == "was given for other filters"

    data = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    tag, canonical = data[:16], data[16:]
    told = json.loads(canonical)
    ended = told["place"]
    assert ended["size"] == desk.index.size()
    assert (set(told), set(ended)) == ({"of", "place"}, {"size", "at", "log_index"})
    others: list[object] = [
        {**told, "place": {**ended, "size": ended["size"] - 1}},
        {**told, "place": {**ended, "size": 10**12}},
        {**told, "place": {**ended, "log_index": -1}},
        {**told, "place": {**ended, "at": "2026"}},
        {**told, "of": "forged"},
        [],
    ]
    forged = [tag + json.dumps(other, sort_keys=True, separators=(",", ":")).encode() for other in others]
    forged += [canonical, b"", bytes(16) + canonical, bytes([data[0] ^ 1]) + data[1:], data + b" "]
    for other in forged:
        altered = base64.urlsafe_b64encode(other).decode().rstrip("=")
        response = desk.get("/decisions", decision="deny", cursor=altered)
        assert response.status_code == 400, other
        assert response.json()["errors"] == [{"field": "cursor", "message": "was not given by a page of this list"}]


def test_a_cursor_of_a_log_that_was_longer_is_refused(migrated: Path, tmp_path: Path, desk: Office) -> None:
    cursor = desk.get("/decisions", limit=5).json()["next_cursor"]
    (tmp_path / "other").mkdir()
    with office(copied(migrated, tmp_path / "other")) as shorter:
        response = shorter.get("/decisions", limit=5, cursor=cursor)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "cursor"


def sealed_at(size: int, root: str) -> dict[str, Any]:
    return {"size": size, "root": root, "checkpoint": {"origin": "here/2026", "size": size}}


def test_a_page_is_of_the_sealed_log_and_carries_its_root(desk: Office) -> None:
    desk.checkpoints.append((100, "cm9vdA=="))
    sealed = [one.id for one in newest_first() if one.log_index < 100]
    pages = list(desk.pages(30))
    assert [name for page in pages for name in names(page)] == sealed
    assert {json.dumps(page["as_of"]) for page in pages} == {json.dumps(sealed_at(100, "cm9vdA=="))}

    held = desk.get("/decisions", limit=30).json()
    desk.checkpoints.append((120, "bmV3ZXI="))
    following = desk.get("/decisions", limit=30, cursor=held["next_cursor"]).json()
    assert following["as_of"] == sealed_at(100, "cm9vdA==")
    assert desk.get("/decisions").json()["as_of"] == sealed_at(120, "bmV3ZXI=")
    headers = desk.get("/decisions/export", format="jsonl", size=100).headers
    assert (headers["log-size"], headers["log-root"], headers["log-checkpoint"]) == ("100", "cm9vdA==", "here/2026 100")
    assert "log-checkpoint" not in desk.get("/decisions/export", format="jsonl", size=99).headers


def test_an_index_behind_the_checkpoint_is_asked_as_far_as_it_is_without_a_root(desk: Office) -> None:
    desk.checkpoints.append((10**6, "cm9vdA=="))
    assert desk.get("/decisions").json()["as_of"] == {"size": desk.index.size(), "root": None}


def test_while_the_index_is_made_again_later_pages_are_unavailable_and_not_shorter(desk: Office) -> None:
    cursor = desk.get("/decisions", limit=5).json()["next_cursor"]
    with writing(desk.engine) as writer:
        writer.execute(delete(decision_index))
        writer.execute(update(decision_index_progress).values(next_index=-1))

    response = desk.get("/decisions", limit=5, cursor=cursor)
    assert response.status_code == 503
    assert response.json()["type"].endswith("/log-unavailable")

    desk.indexer.rebuild()
    assert desk.get("/decisions", limit=5, cursor=cursor).status_code == 200


@pytest.mark.parametrize("path", ["/decisions", "/decisions/export?format=jsonl", f"/decisions/{GIVEN[0].id}"])
def test_only_who_may_read_decisions_reads_them(desk: Office, path: str) -> None:
    assert desk.client.get(path).status_code == 401
    others = desk.key(*(right for right in RIGHTS if right != "decisions:read"))
    assert desk.client.get(path, headers=others).status_code == 403
    assert desk.client.get(path, headers=desk.headers).status_code == 200


def test_an_export_has_the_exact_records_in_the_order_of_the_log(desk: Office) -> None:
    response = desk.get("/decisions/export", format="jsonl")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/jsonl"
    assert response.content == b"".join(one.body + b"\n" for one in GIVEN)

    denied = desk.get("/decisions/export", format="jsonl", decision="deny", model="opus-4.6")
    wanted = [one for one in GIVEN if not one.read.allowed and one.read.model == "opus-4.6"]
    assert denied.content == b"".join(one.body + b"\n" for one in wanted)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_of_the_same_size_is_the_same_bytes_again(desk: Office, form: str) -> None:
    first = desk.get("/decisions/export", format=form)
    size = first.headers["log-size"]
    put(desk.engine, entered(5, first=desk.index.size(), seed=9))
    desk.indexer.catch_up(100)

    again = desk.get("/decisions/export", format=form, size=size)
    assert again.content == first.content
    assert len(desk.get("/decisions/export", format=form).content) > len(first.content)


def test_an_export_as_csv_has_a_line_for_each_decision(desk: Office) -> None:
    response = desk.get("/decisions/export", format="csv", subject="carol")
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))
    wanted = [one for one in GIVEN if one.read.request is not None and one.read.request.subject.id == "carol"]
    assert [row["decision_id"] for row in rows] == [one.id for one in wanted]
    assert [row["decision"] for row in rows] == [one.read.decision for one in wanted]
    assert [row["reason_code"] for row in rows] == [one.read.reason_code for one in wanted]
    assert [int(row["log_index"]) for row in rows] == [one.log_index for one in wanted]
    assert set(rows[0]) == set(COLUMNS)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "format"),
        ("format=xlsx", "format"),
        ("format=csv&format=csv", "format"),
        ("format=csv&limit=3", "limit"),
        ("format=csv&cursor=x", "cursor"),
        ("format=csv&size=-1", "size"),
        ("format=csv&size=100000", "size"),
        ("format=csv&hold=maybe", "hold"),
        ("format=csv&from=2026-06-12&to=2026-06-11", "to"),
    ],
)
def test_an_export_that_cannot_be_is_400_and_names_the_parameter(desk: Office, query: str, named: str) -> None:
    response = desk.client.get(f"/decisions/export?{query}", headers=desk.headers)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [named]


def test_a_decision_that_was_just_answered_is_found_at_once(migrated: Path, tmp_path: Path) -> None:
    url = copied(migrated, tmp_path)
    with serving(url, DEMO) as service, office(url) as auditors:
        document = {
            "subject": {"type": "person", "id": "carol"},
            "model": "opus-4.6",
            "action": "infer",
            "place": {"country": "US"},
            "request_id": "gw-1",
        }
        answer = service.decide(document).json()
        page = auditors.get("/decisions", request_id="gw-1", subject="carol").json()
        record = auditors.get(f"/decisions/{answer['decision_id']}")
    assert names(page) == [answer["decision_id"]]
    assert page["decisions"][0] == record.json()


def test_a_query_that_meets_a_missing_entry_names_it(desk: Office) -> None:
    gone = newest_first()[3].log_index
    lose(desk.engine, gone)
    problem = desk.get("/decisions")
    assert problem.status_code == 500
    assert problem.json()["type"] == "/problems/entry-missing"
    assert f"entry {gone} of the log is missing" in problem.json()["detail"]
    assert desk.get("/decisions", to=format_instant(newest_first()[9].at)).status_code == 200


def test_an_export_that_meets_a_missing_entry_is_broken_off_and_never_ended(desk: Office) -> None:
    lose(desk.engine, GIVEN[-3].log_index)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/decisions/export",
        "root_path": "",
        "query_string": b"format=jsonl",
        "headers": [(b"authorization", desk.headers["Authorization"].encode())],
        "server": ("here", 80),
        "client": ("there", 1),
    }
    with pytest.raises(RuntimeError) as caught:
        asyncio.run(desk.app(scope, receive, send))
    assert isinstance(caught.value.__cause__, LogDamaged)
    assert sent[0]["status"] == 200
    assert len(sent) > 1
    assert all(message["more_body"] for message in sent[1:])


@pytest.fixture(scope="module")
def records(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Decisions that were made beside the demonstration roster."""
    with office(copied(migrated, tmp_path_factory.mktemp("records"))) as made:
        Members(made.engine).record(DEMO, actor="test", reason="test", at=BEGIN - timedelta(days=1))
        put(made.engine, GIVEN)
        made.indexer.catch_up(10**6)
        yield made


def looks(office: Office) -> list[MembersAsked]:
    found = [change.event for change in DeskLog(office.engine).changes(("members.asked",))]
    return [event for event in found if isinstance(event, MembersAsked)]


def test_decisions_are_found_by_what_was_on_file_and_each_look_is_on_record_before_it_is_answered(
    records: Office,
) -> None:
    seeing = records.key("decisions:read", "members:read")
    by_rules = records.get("/decisions", citizenship_country="CN", decision="deny", limit=1000).json()
    before = len(looks(records))
    told = records.client.get(
        "/decisions", params={"on_file": "citizenship:CN", "decision": "deny", "limit": 1000}, headers=seeing
    )
    assert told.status_code == 200, told.text
    assert {one["answer"]["decision_id"] for one in by_rules["decisions"]} < {
        one["answer"]["decision_id"] for one in told.json()["decisions"]
    }
    (unread,) = by_rules["unread"]
    assert (unread["filter"], unread["more"]) == ("citizenship_country", False)
    assert unread["decisions"] > 0
    exported = records.client.get(
        "/decisions/export", params={"on_file": "citizenship:CN", "format": "jsonl"}, headers=seeing
    )
    assert exported.status_code == 200
    assert looks(records)[before:] == [
        MembersAsked(what="decisions", on_file="citizenship:CN", filters=("decision=deny",)),
        MembersAsked(what="export", on_file="citizenship:CN", filters=()),
    ]


@pytest.mark.parametrize("path", ["/decisions", "/decisions/export?format=jsonl"])
def test_what_was_on_file_is_for_who_may_read_the_members(records: Office, path: str) -> None:
    before = looks(records)
    answer = records.client.get(
        path,
        params={"on_file": "citizenship:CN", "format": "jsonl"} if "export" in path else {"on_file": "citizenship:CN"},
        headers=records.headers,
    )
    assert answer.status_code == 403
    assert "members:read" in answer.text
    assert looks(records) == before


@pytest.mark.parametrize("asked", ["citizenship:UK", "CN", "employment:none-such", "colour:red"])
def test_what_cannot_be_asked_of_the_members_is_400_and_no_look(records: Office, asked: str) -> None:
    before = looks(records)
    seeing = records.key("decisions:read", "members:read")
    answer = records.client.get("/decisions", params={"on_file": asked}, headers=seeing)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "on_file")
    assert looks(records) == before


def test_where_the_look_cannot_be_recorded_nothing_is_shown(records: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise LogUnavailable("the disk is full")

    monkeypatch.setattr(DeskLog, "note", refuse)
    seeing = records.key("decisions:read", "members:read")
    answer = records.client.get("/decisions", params={"on_file": "citizenship:CN"}, headers=seeing)
    assert answer.status_code == 503
    assert "decision_id" not in answer.text
