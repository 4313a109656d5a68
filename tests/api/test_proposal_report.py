"""An approver reads of a proposal, in three forms of one value, what is written otherwise, whose answer changes, who on
file loses what and which worked examples went; names only with the right to read the members, and then on record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from policy_engine.domain.changes import ReportRead
from tests.api.desks import ROSTER, Officer
from tests.api.service import Service, copied, serving
from tests.policy.books import BAR, GRANT, NOTE, book, sheet

CASES = """\
- id: {id}
  title: nothing grants this action
  note: so it is
  at: 2026-11-20T12:00:00Z
  request: {{subject: {{type: person, id: nobody}}, model: alpha-1, action: embed}}
  expect: {{decision: deny}}
"""
NAMES = sorted({entry.id for entry in ROSTER.people} | {row.id for row in ROSTER.organisations})
HOSTILE = "<script>alert(1)</script>"


def files(*rows: Any, cases: tuple[str, ...], changelog: str = "") -> dict[str, str]:
    made = {
        **book(rules=sheet(*rows)),
        "CHANGELOG.csv": f"rule,date,what,why\n{changelog}".encode(),
        "cases/one.yaml": "".join(CASES.format(id=name) for name in cases).encode(),
    }
    return {name: data.decode() for name, data in made.items()}


BEFORE = files(GRANT, BAR, NOTE, cases=("KEPT", "DROPPED"))
AFTER = files(
    {**GRANT, "action": "list", "message": f"Listed {HOSTILE} only."},
    BAR,
    NOTE,
    {**BAR, "id": "NEW-REGION", "place": "located-in:CU"},
    cases=("KEPT", "ADDED"),
    changelog='ACCESS,2026-11-20,no calls any more,"counsel, by letter"\n',
)


@dataclass(frozen=True, slots=True)
class Room:
    service: Service
    proposal: str

    def path(self, form: str) -> str:
        return f"/policy/proposals/{self.proposal}/report.{form}"

    def reads(self) -> list[tuple[str | None, str]]:
        found = []
        for change in self.service.parts.desk_log.changes(("report.read",)):
            assert isinstance(change.event, ReportRead)
            found.append((change.actor.person, change.event.proposal))
        return found


@pytest.fixture(scope="module")
def room(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("report")
    for name, text in BEFORE.items():
        (folder / "book" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "book" / name).write_bytes(text.encode())
    with serving(copied(migrated, folder), ROSTER, published=True, policies=folder / "book") as running:
        author = Officer(running, "dora", "policy:read", "policy:propose")
        proposed = author.propose(AFTER, note=f"counsel {HOSTILE}")
        assert proposed.status_code == 201, proposed.text
        yield Room(running, proposed.json()["id"])


@pytest.fixture
def seeing(room: Room) -> Officer:
    return Officer(room.service, "egon", "policy:read", "members:read")


@pytest.fixture
def blind(room: Room) -> Officer:
    return Officer(room.service, "flora", "policy:read")


def test_the_report_has_rows_cell_by_cell_answers_people_and_worked_examples(room: Room, seeing: Officer) -> None:
    told = seeing.get(room.path("json")).json()
    rows = {row["rule"]: row for row in told["changes"]["rows"]}
    assert {name: row["what"] for name, row in rows.items()} == {"ACCESS": "changed", "NEW-REGION": "added"}
    assert {"name": "action", "before": "infer | list", "after": "list"} in rows["ACCESS"]["cells"]
    assert rows["ACCESS"]["reasons"][0]["why"] == "counsel, by letter"
    assert {(one["old"], one["new"]) for one in told["difference"]["differences"]} >= {("allow", "deny")}
    lost = told["impact"]["standing_access"]["lost"]
    assert {one["model"] for one in lost} == {"alpha-1"}
    assert "person:alice" in {one["subject"] for one in lost}
    assert [(one["id"], one["what"]) for one in told["cases"]] == [("DROPPED", "removed"), ("ADDED", "added")]
    assert any("1 worked example removed" in warning for warning in told["warnings"])


def test_text_and_page_tell_what_the_document_tells(room: Room, seeing: Officer) -> None:
    told = seeing.get(room.path("json")).json()
    text, page = seeing.get(room.path("txt")).text, _text_of(seeing.get(room.path("html")).text)
    flat = " ".join(text.split())
    for form in (flat, " ".join(page.split())):
        assert all(line in form or line[:1].upper() + line[1:] in form for line in told["in_short"])
        assert "ACCESS" in form
        assert "infer | list" in form
        assert "counsel, by letter" in form
        assert "DROPPED" in form
        assert all(one["subject"] in form for one in told["impact"]["standing_access"]["lost"])
        for one in told["difference"]["differences"]:
            if one["old"] != one["new"]:
                assert one["clauses"][0]["text"] in form
    assert max(map(len, text.splitlines())) <= 80


def test_who_may_not_read_the_members_sees_rounded_counts_and_no_name_in_any_form(room: Room, blind: Officer) -> None:
    before = room.reads()
    for form in ("json", "txt", "html"):
        answer = blind.get(room.path(form))
        assert answer.status_code == 200
        assert not [name for name in NAMES if f":{name}" in answer.text or f">{name}<" in answer.text]
        assert "members:read" in answer.text
    assert "or more lose" in blind.get(room.path("txt")).text
    assert room.reads() == before


def test_each_look_at_names_is_on_record_whatever_the_form(room: Room, seeing: Officer) -> None:
    before = len(room.reads())
    for number, form in enumerate(("json", "txt", "html"), start=1):
        assert seeing.get(room.path(form)).status_code == 200
        assert room.reads()[before:] == [("egon", room.proposal)] * number


class _Page(HTMLParser):
    """The text of a page, and its elements; a page of ours has no script and leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str | None] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _read(page: str) -> _Page:
    parser = _Page()
    parser.feed(page)
    return parser


def _text_of(page: str) -> str:
    return " ".join(_read(page).texts)


def test_the_page_runs_nothing_loads_nothing_and_shows_what_was_written_as_text(room: Room, seeing: Officer) -> None:
    answer = seeing.get(room.path("html"))
    page = _read(answer.text)
    assert HOSTILE not in answer.text
    assert HOSTILE in _text_of(answer.text)
    assert "script" not in page.tags
    assert not {name for name in page.attributes if name.startswith("on")}
    assert all(link is not None and link.startswith("#") for link in page.links)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("form", ["pdf", "HTML", ""])
def test_another_form_or_another_proposal_is_404(room: Room, seeing: Officer, form: str) -> None:
    assert seeing.get(room.path(form)).status_code == 404
    assert seeing.get("/policy/proposals/PROP-NONE/report.html").status_code == 404


def test_without_the_right_to_read_books_nothing_is_shown(room: Room) -> None:
    assert Officer(room.service, "gina", "members:read").get(room.path("html")).status_code == 403
    assert room.service.client.get(room.path("html")).status_code == 401


def test_a_proposal_whose_base_was_followed_by_another_book_says_that_it_cannot_be_approved(
    migrated: Path, tmp_path: Path
) -> None:
    for name, text in BEFORE.items():
        (tmp_path / "book" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "book" / name).write_bytes(text.encode())
    with serving(copied(migrated, tmp_path), ROSTER, published=True, policies=tmp_path / "book") as running:
        author, other = Officer(running, "dora"), Officer(running, "egon")
        stale, taken = author.propose(AFTER).json()["id"], author.propose(AFTER).json()
        cases = next(one["digest"] for one in taken["reports"] if one["name"] == "cases")
        approved = other.post(f"/policy/proposals/{taken['id']}/approve", note="read", cases=cases)
        assert approved.status_code == 200, approved.text
        told = author.get(f"/policy/proposals/{stale}/report.json").json()
        assert any("propose it again" in warning for warning in told["warnings"])
        approved_report = author.get(f"/policy/proposals/{taken['id']}/report.json").json()
        assert [row["rule"] for row in approved_report["changes"]["rows"]] == ["ACCESS", "NEW-REGION"]
        assert not any("propose it again" in warning for warning in approved_report["warnings"])
