"""Examples of every route, from one walk through a service: what was sent, and what was answered.

`python -m tests.api.examples` writes them to `policy_engine/http/examples.json`, which the reference shows; the
suite walks again and holds the file against it. Clock, ids and keys are the walk's own, so that it goes the same way.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from fastapi.testclient import TestClient

from policy_engine.app.builder import upgrade
from policy_engine.app.settings import Settings
from policy_engine.asgi import create_app
from policy_engine.domain.instants import parse_instant
from policy_engine.service.audit.cursors import Cursors
from policy_engine.service.gate.keyring import RIGHTS
from policy_engine.service.sealing.sealed_log import Sealing, SealKeeper
from tests.api.desks import WITHOUT_CONSORTIUM
from tests.api.sealed import ORIGIN, SEED
from tests.api.service import Service, serving
from tests.conftest import ROOT, SMALL_BOOK
from tests.gateways.conftest import PROFILES
from tests.service.decisions import DEMO

FILE: Final = ROOT / "policy_engine" / "http" / "examples.json"
HELD: Final = {
    "subject": {"type": "person", "id": "carol"},
    "model": "mythos-5",
    "action": "infer",
    "purpose": "pentest_own_product",
    "place": {"country": "US"},
}
NEW: Final = {"organisations": [{"id": "new-lab", "name": "New Lab Ltd.", "kind": "company", "headquarters": "GB"}]}
_LONGEST: Final = 240
_MOST: Final = 2
# The reference is open to everybody, and this model is not (ADR 16).
_HIDDEN: Final = re.compile(r"mythos(-5)?|fable(-5)?")


@dataclass(slots=True, kw_only=True)
class Walk:
    """Asks one route after the other, and keeps what was sent and answered."""

    service: Service
    client: TestClient
    sealing: Sealing
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)

    def key(self, person: str, gateway: str | None = None) -> dict[str, str]:
        if person not in self.keys:
            digits = iter(f"{len(self.keys) + 1:x}" * 1_000)
            made = self.service.parts.ring.create(
                name=person,
                rights=RIGHTS,
                at=self.service.now[0],
                random_hex=lambda size: "".join(itertools.islice(digits, 2 * (size or 32))),
                person=None if gateway is not None else person,
                gateway=gateway,
            )
            self.service.parts.gate.view.refresh()
            self.keys[person] = {"Authorization": f"Bearer {made.token}"}
        return self.keys[person]

    def ask(self, method: str, path: str, /, *, person: str = "dora", status: int = 200, **sent: Any) -> Any:
        """Ask, and keep it as the example of its route; `query`, `body`, `head`, and what the path names by name."""
        query, body = sent.pop("query", {}), sent.pop("body", None)
        head = sent.pop("head", None) or self.key(person)
        asked = path.format(**sent)
        response = self.client.request(method, asked, params=query, json=body, headers=head)
        assert response.status_code == status, (method, asked, response.status_code, response.text[:2_000])
        kind = response.headers["content-type"].partition(";")[0]
        told = response.json() if kind == "application/json" else response.text
        example = {"status": str(status), "kind": kind, "answer": shortened(told)}
        if body is not None:
            example["body"] = shortened(body)
        self.found.setdefault(f"{method} {path}", example)
        return told


def shortened(value: Any) -> Any:
    """The value as an example shows it: of many things two, of a long text its beginning."""
    if isinstance(value, str):
        return value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
    if isinstance(value, list):
        return [shortened(one) for one in value[:_MOST]]
    if isinstance(value, dict):
        return {
            name: shortened(dict(list(one.items())[:_MOST]) if name in _FREE and isinstance(one, dict) else one)
            for name, one in value.items()
        }
    return value


_FREE: Final = ("files", "words")
"""Members that are objects whose names are free, and may be many."""


@contextmanager
def walking(folder: Path) -> Iterator[Walk]:
    url = f"sqlite:///{folder / 'service.db'}"
    upgrade(Settings(database_url=url))
    counter = itertools.count(1)

    def new_id(_: datetime) -> str:
        return f"01K{next(counter):023d}"

    with serving(url, DEMO, published=True, policies=SMALL_BOOK, new_id=new_id, gateways=PROFILES) as service:
        sealing = Sealing(
            entries=service.parts.entries,
            folder=folder / "ledger",
            witnesses=folder / "witness",
            origin=ORIGIN,
            seed=SEED,
        )
        app = create_app(replace(service.parts, keeper=SealKeeper(sealing, report=lambda _: None)))
        # A process of its own gives cursors under a key of its own, which is drawn.
        service.parts.inspector.cursors = Cursors(SEED)
        client = TestClient(app, raise_server_exceptions=False)
        yield Walk(service=service, client=client, sealing=sealing)


def walk(folder: Path) -> dict[str, dict[str, Any]]:
    """An example of each route, by method and path."""
    with walking(folder) as one:
        _decisions(one)
        _members(one)
        _policy(one)
        _gateways(one)
        _log(one)
        return one.found


def _decisions(one: Walk) -> None:
    decision = one.ask("POST", "/decide", body=HELD)["decision_id"]
    one.ask("POST", "/decide/batch", body={"requests": [{**HELD, "model": "opus-4.6"}, HELD]})
    one.ask("POST", "/simulate", body={"request": HELD, "at": "2026-06-13T15:00:00Z"})
    one.sealing.seal()
    one.ask("GET", "/decisions", query={"decision": "deny", "limit": "1"})
    one.ask("GET", "/decisions/export", query={"format": "csv", "decision": "deny"})
    one.ask("GET", "/decisions/{decision_id}", decision_id=decision)
    one.ask("POST", "/decisions/{decision_id}/replay", decision_id=decision)
    case = one.ask("GET", "/reviews")["reviews"][0]["id"]
    one.ask("GET", "/reviews/{case}", case=case)
    one.ask("POST", "/reviews/{case}/close", case=case, body={"outcome": "refuse", "rationale": "no licence"})


def _members(one: Walk) -> None:
    waits = one.ask("POST", "/members/changes", status=202, body={"members": NEW, "reason": "a new partner"})
    one.ask("GET", "/members/changes")
    shown = one.ask("GET", "/members/changes/{change}", change=waits["id"])["shown"]
    one.ask("POST", "/members/changes/{change}/approve", person="egon", change=waits["id"], body={"shown": shown})
    other = {"organisations": [{**NEW["organisations"][0], "id": "other-lab"}]}
    waits = one.ask("POST", "/members/changes", status=202, body={"members": other, "reason": "a partner"})
    one.ask("POST", "/members/changes/{change}/withdraw", change=waits["id"], body={"reason": "not yet"})
    one.ask("GET", "/members/{kind}/{name}", kind="organisations", name="new-lab")


def _policy(one: Walk) -> None:
    held = one.ask("GET", "/policy")["in_force"]["fingerprint"]
    one.ask("GET", "/policy/books/{fingerprint}", fingerprint=held)
    one.ask("POST", "/policy/check", body={"files": WITHOUT_CONSORTIUM})
    body = {"files": WITHOUT_CONSORTIUM, "note": "advice of counsel"}
    told = one.ask("POST", "/policy/proposals", status=201, body=body)
    name, cases = told["id"], next(report["digest"] for report in told["reports"] if report["name"] == "cases")
    one.ask("GET", "/policy/proposals")
    one.ask("GET", "/policy/proposals/{proposal}", proposal=name)
    one.ask("GET", "/policy/proposals/{proposal}/reports/{report}", proposal=name, report="impact")
    one.ask("GET", "/policy/proposals/{proposal}/report.{form}", proposal=name, form="json")
    one.ask(
        "POST",
        "/policy/proposals/{proposal}/approve",
        person="egon",
        proposal=name,
        body={"note": "read", "cases": cases},
    )
    back = one.ask("POST", "/policy/proposals", status=201, body={"rollback_to": held, "note": "back"})
    one.ask("POST", "/policy/proposals/{proposal}/withdraw", proposal=back["id"], body={"reason": "too early"})
    scope = {"models": ["opus-4.6"], "countries": ["KP"], "authority": "compliance", "reason": "order of 20 November"}
    freeze = one.ask("POST", "/freezes", status=201, body=scope)["id"]
    one.ask("GET", "/freezes")
    one.ask("DELETE", "/freezes/{freeze}", status=202, freeze=freeze, body={"reason": "the order has ended"})


CAROL: Final = {"type": "person", "id": "carol"}
OPUS: Final = {"type": "ai_model", "id": "opus-4.6"}
INFER: Final = {"name": "infer"}


def _gateways(one: Walk) -> None:
    bearer = one.key("gateway", "headers")
    passed = {"x-user-id": "carol", "x-geo-country": "US", "x-model": "opus-4.6"}
    head = {"X-Policy-Engine-Key": bearer["Authorization"].removeprefix("Bearer "), **passed}
    one.ask("POST", "/ext_authz/{path}", head=head, path="v1/chat/completions")
    target = {"X-Forwarded-Method": "POST", "X-Forwarded-Uri": "/v1/chat/completions"}
    one.ask("GET", "/forward-auth", head={**head, **target})
    chat = {"method": "POST", "target": "/v1/chat/completions", "headers": passed}
    one.ask("POST", "/gateways/decide", head=bearer, body={**chat, "models": ["opus-4.6"]})
    http = {"method": "POST", "path": "/v1/chat/completions", "headers": passed}
    one.ask("POST", "/v1/data/policy_engine/decide", head=bearer, body={"input": {"request": {"http": http}}})
    question = {"subject": CAROL, "action": INFER, "resource": OPUS, "context": {"ip_country": "US"}}
    one.ask("GET", "/.well-known/authzen-configuration")
    one.ask("POST", "/access/v1/evaluation", body=question)
    one.ask("POST", "/access/v1/evaluations", body={**question, "evaluations": [{}, {"action": {"name": "embed"}}]})
    one.ask("POST", "/access/v1/search/subject", body={**question, "subject": {"type": "person"}})
    one.ask("POST", "/access/v1/search/resource", body={**question, "resource": {"type": "ai_model"}})
    one.ask(
        "POST", "/access/v1/search/action", body={name: question[name] for name in ("subject", "resource", "context")}
    )


def _log(one: Walk) -> None:
    for path in ("/", "/livez", "/readyz"):
        one.ask("GET", path)
    decision = one.ask("POST", "/decide", body={**HELD, "purpose": "education"})["decision_id"]
    one.sealing.seal()
    one.ask("GET", "/log/checkpoint")
    one.ask("GET", "/log/years")
    one.ask("GET", "/log/{year}/{path}", year="2026", path="checkpoint")
    one.ask("GET", "/log/proof/{entry_id}", entry_id=decision)
    one.ask("GET", "/log/entries/{entry_id}", entry_id=decision)
    held = one.ask("POST", "/log/holds", status=201, body={"models": ["opus-4.6"], "reason": "inquiry"})["id"]
    one.ask("GET", "/log/holds")
    one.ask("DELETE", "/log/holds/{hold}", hold=held, body={"reason": "closed"})
    one.service.now[0] = parse_instant("2043-01-02T00:00:00Z")
    one.ask("POST", "/decide", body=HELD)
    one.sealing.seal()
    one.ask("POST", "/log/retirements", status=201, body={"year": 2026, "reason": "retention schedule"})


def document() -> str:
    """The file."""
    with tempfile.TemporaryDirectory() as folder:
        found = walk(Path(folder))
    text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True)
    return _HIDDEN.sub("a-model", text) + "\n"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
