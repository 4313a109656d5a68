"""Who needs a second person for what, tried with every key over HTTP and from the command line."""

from __future__ import annotations

import http.client
import json
import os
import secrets
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cli.test_desk import CAROL, Desk, desk
from tests.security.two_persons import ACTIONS, DOORS, KEYS, PAGE, WRITE, page

__all__ = ["desk"]

SAID = {
    "This needs another person": "refused: needs another person",
    "This needs a key that is bound to a person": "refused: needs a person",
    "The key does not carry this right": "refused: needs the right",
    "A valid key is needed": "refused: the key is not in force",
    "This is not accepted": "refused",
    "This conflicts with the current state": "refused: not what was shown",
    "approve what was shown": "refused: shows it, and asks what was looked at",
    "confirm the rows that were shown": "refused: shows it, and asks what was looked at",
}
STATUS = {
    "waits": "waits",
    "preview": "shown, nothing recorded",
    "in_force": "at once",
    "withdrawn": "withdrawn, nothing recorded",
    "release_asked": "waits",
    "released": "at once",
}


class Matrix:
    """Tries one combination after another; what waits for approval is proposed by dora."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.desk, self.folder, self.numbers = desk, folder, count(1)
        self.address = urlsplit(os.environ["POLICY_ENGINE_URL"])
        self.dora = desk.key("dora")
        self.asked = "infer"

    def key(self, name: str) -> str:
        """A token of a fresh key."""
        if name == "no person":
            return self.desk.key(None)
        if name == "without the right":
            return self.desk.key("egon", "decide", "members:read")
        if name == "the same person, another key":
            return self.desk.key("dora")
        if name == "a feed of accounts":
            made = self.desk.parts.ring.create(
                name="feed",
                rights=("members:write",),
                at=self.desk.parts.desk.clock(),
                random_hex=secrets.token_hex,
                feed=("accounts",),
            )
            return made.token
        token = self.desk.key("egon")
        if name == "revoked":
            self.desk.parts.ring.revoke(token.split("_")[1], self.desk.parts.desk.clock())
        return token

    def ask(self, token: str, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection(self.address.hostname or "", self.address.port, timeout=120)
        headers = {"Authorization": f"Bearer {token}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        told = json.loads(connection.getresponse().read())
        connection.close()
        return told

    def rows(self, action: str) -> dict[str, Any]:
        """Rows that nobody has filed yet."""
        number = next(self.numbers)
        if "narrows" in action or "look" in action:
            return {"listings": [{**LISTING, "entry": f"Entry {number}"}]}
        if "account" in action:
            return {"accounts": [{"id": f"key-{number}", "kind": "account", "organisation": "harbor-cyber"}]}
        kind = "exception" if ACTIONS[action] == "reviews" else "licence"
        return {"authorisations": [{**PAPER, "id": f"EX-{number}", "kind": kind, "actions": [self.asked]}]}

    def run(self, action: str, name: str, door: str) -> str:
        """What came of it, in words."""
        token = self.key(name)
        # A release that was confirmed at one door is not to let go what the other one asks.
        self.asked = "infer" if door == "HTTP" else "list"
        return (self.over_http if door == "HTTP" else self.by_command)(action, token)

    def prepared(self, action: str) -> tuple[str, str]:
        """What waits, and the digest of what is shown of it."""
        rows = self.rows(action)
        if ACTIONS[action] == "members":
            change = self.ask(self.dora, "POST", "/members/changes", {"members": rows, "reason": "test"})
            return change["id"], change["shown"]
        case = self.case()
        body = {"outcome": "release", "rationale": "seen", "members": rows}
        return case, self.ask(self.dora, "POST", f"/reviews/{case}/close", body)["rows"]["digest"]

    def case(self) -> str:
        """A case of a request that nobody held before."""
        request = json.loads(CAROL.replace("PURPOSE", "pentest_own_product"))
        request["action"] = self.asked
        answer = self.ask(self.dora, "POST", "/decide", request)
        return str(next(one["review"] for one in answer["findings"] if one["review"]))

    def over_http(self, action: str, token: str) -> str:
        rows = self.rows(action)
        verb = action.partition(" ")[0]
        if verb in ("propose", "look"):
            body: dict[str, Any] = {"members": rows, "reason": "test", "dry_run": verb == "look"}
            return self.said(self.ask(token, "POST", "/members/changes", body))
        if verb == "ask":
            body = {"outcome": "release", "rationale": "seen", "members": rows}
            return self.said(self.ask(token, "POST", f"/reviews/{self.case()}/close", body))
        waiting, shown = self.prepared(action)
        digest = shown if "was shown" in action and "other" not in action and "else" not in action else "sha256:0"
        if verb == "withdraw":
            return self.said(self.ask(token, "POST", f"/members/changes/{waiting}/withdraw", {"reason": "test"}))
        if verb == "approve":
            body = {} if "blind" in action else {"shown": digest}
            return self.said(self.ask(token, "POST", f"/members/changes/{waiting}/approve", body))
        body = {"outcome": "release"} | ({} if "blind" in action else {"rows": digest})
        return self.said(self.ask(token, "POST", f"/reviews/{waiting}/close", body))

    def by_command(self, action: str, token: str) -> str:
        rows = self.folder / "rows.json"
        rows.write_text(json.dumps(self.rows(action)))
        verb = action.partition(" ")[0]
        if verb in ("propose", "look"):
            command = ["members", "import", str(rows), "--reason", "test"]
            command += ["--dry-run"] if verb == "look" else []
        elif verb == "ask":
            command = ["reviews", "close", self.case(), "--outcome", "release", "--rationale", "seen"]
            command += ["--members", str(rows)]
        else:
            waiting, shown = self.prepared(action)
            digest = shown if "was shown" in action and "other" not in action and "else" not in action else "sha256:0"
            if verb == "withdraw":
                command = ["members", "withdraw", waiting, "--reason", "test"]
            elif verb == "approve":
                command = ["members", "approve", waiting] + ([] if "blind" in action else ["--shown", digest])
            else:
                command = ["reviews", "close", waiting, "--outcome", "release"]
                command += [] if "blind" in action else ["--rows", digest]
        self.desk.monkeypatch.setenv("POLICY_ENGINE_KEY", token)
        told = self.desk.shell(*command, "--json")
        if told.code == 0:
            return self.said(told.json)
        return next(said for text, said in SAID.items() if text in told.err)

    def said(self, document: Any) -> str:
        if "title" in document:
            return SAID[document["title"]]
        return STATUS[document["status"]]


LISTING = {
    "party": "thornbury-water",
    "list": "EL",
    "entry_version": "1",
    "reference": None,
    "status": "potential",
    "cleared_version": None,
    "from": "2026-01-01",
    "to": None,
}
PAPER = {
    "regime": "consortium",
    "holder": "harbor-cyber",
    "models": ["mythos-5"],
    "actions": ["infer"],
    "countries": None,
    "from": "2026-01-01",
    "to": "2036-01-01",
    "cap": None,
    "conditions": [],
}


def test_the_page_says_who_needs_a_second_person(desk: Desk, tmp_path: Path) -> None:
    matrix = Matrix(desk, tmp_path)
    # A release ends in the last combination that may: until then the case stays open for the others.
    order = sorted(ACTIONS, key=lambda action: action == "confirm the release that was shown")
    keys = sorted(KEYS, key=lambda key: key == "another person")
    came = {(action, key, door): matrix.run(action, key, door) for action in order for key in keys for door in DOORS}

    if os.environ.get(WRITE):
        PAGE.write_text(page(came), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(came)
    done = {(action, key) for (action, key, _), said in came.items() if said == "at once"}
    assert done == {
        ("propose what only narrows", "another person"),
        ("propose what only narrows", "the same person, another key"),
        ("propose an account", "a feed of accounts"),
        ("approve what was shown", "another person"),
        ("confirm the release that was shown", "another person"),
    }
    for action in ACTIONS:
        for key in KEYS:
            said = {came[action, key, door] for door in DOORS}
            assert len({one.partition(":")[0] for one in said}) == 1, (action, key, said)
