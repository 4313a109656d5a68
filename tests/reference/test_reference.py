"""The second evaluator answers every worked example as the example says, and its arithmetic is the law's."""

import re
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.reference.evaluator import (
    ROWS,
    UNKNOWN_SHARE,
    Stakes,
    build_world,
    cascade,
    evaluate,
    instant,
    look_through,
    stakes_now,
)

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"


class CoreLoader(yaml.CSafeLoader):
    """YAML 1.2 booleans: `NO` is Norway and `on` is a word; only true and false are booleans."""


CoreLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
CoreLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def load(path: Path) -> Any:
    """A file as parsed."""
    with path.open("rb") as file:
        return yaml.load(file, Loader=CoreLoader)  # noqa: S506 - it is the safe loader with fewer words


def first_that_exists(*paths: Path) -> Path:
    """The first of the places where a file may lie."""
    for path in paths:
        if path.exists():
            return path
    raise FileNotFoundError(f"none of {[str(path) for path in paths]}")


@cache
def cases_in(path: Path) -> dict[str, Json]:
    """The worked examples of one file, by their ids."""
    return {case["id"]: case for case in load(path)}


def cases() -> list[Json]:
    """Every worked example."""
    return [case for path in CASE_FILES for case in cases_in(path).values()]


CASE_FILES = sorted(first_that_exists(SHARED / "cases", ROOT / "policies" / "cases").glob("*.yaml"))
PLACES = {
    name: path for path in CASE_FILES for name in re.findall(r"(?m)^- id: (\S+)$", path.read_text(encoding="utf-8"))
}
"""In which file each example stands; none is read before it is tried."""


@pytest.fixture(scope="module")
def catalogue() -> Json:
    """The shipped catalogue."""
    entries: Json = load(first_that_exists(ROOT / "policies" / "catalogue.yaml", SHARED / "domain" / "catalogue.yaml"))
    return entries


@pytest.fixture(scope="module")
def groups() -> Json:
    """The shipped country groups."""
    found: Json = load(
        first_that_exists(
            ROOT / "policies" / "country_groups.yaml",
            ROOT / "policies" / "groups.yaml",
            SHARED / "domain" / "country_groups.yaml",
        )
    )
    return found


def what_is_expected(expected: Json, answer: Json) -> Json:
    """The expectation of a case, as far as the evaluator produces it, in the form of `what_came`."""
    deciding = {f["rule"]: f for f in answer["findings"] if f["state"] == "deciding"}
    codes = {code for f in deciding.values() for code in f["codes"]}
    others = {f["rule"] for f in answer["findings"] if f["state"] != "deciding"}
    faults: Json = {}
    for key in ("decision", "hold", "reason", "missing", "alternatives"):
        if key in expected and answer[key] != expected[key]:
            faults[key] = (expected[key], answer[key])
    if "only_rules" in expected and set(expected["only_rules"]) != set(deciding):
        faults["only_rules"] = (sorted(expected["only_rules"]), sorted(deciding))
    for key, found in (("codes", codes), ("rules", set(deciding)), ("other", others)):
        if not set(expected.get(key, [])) <= found:
            faults[key] = (expected[key], sorted(found))
    if set(expected.get("not_codes", [])) & codes:
        faults["not_codes"] = (expected["not_codes"], sorted(codes))
    if not set(expected.get("obligations", [])) <= set(answer["obligations"]):
        faults["obligations"] = (expected["obligations"], answer["obligations"])
    return faults


@pytest.mark.parametrize("name", PLACES)
def test_the_worked_example_holds(name: str, catalogue: Json, groups: Json) -> None:
    case = cases_in(PLACES[name])[name]
    assert what_is_expected(case["expect"], evaluate(case, catalogue, groups)) == {}


def test_there_are_worked_examples_with_ids_of_their_own() -> None:
    assert [case["id"] for case in cases()] == list(PLACES) != []
    assert sum(len(load(path)) for path in CASE_FILES) == len(PLACES)


def test_a_worked_example_with_another_expectation_fails(catalogue: Json, groups: Json) -> None:
    case = next(case for case in cases() if case["expect"]["decision"] == "deny")
    answer = evaluate(case, catalogue, groups)
    wrong = {
        "decision": "allow",
        "hold": not answer["hold"],
        "reason": "US_PERSON",
        "codes": ["US_PERSON"],
        "not_codes": [answer["reason"]],
        "only_rules": [],
        "rules": ["EAR-NLR"],
        "other": ["ENGINE-NO-GRANT"],
        "missing": ["nothing"],
        "alternatives": ["nothing"],
        "obligations": ["nothing"],
    }
    assert set(what_is_expected(wrong, answer)) == set(wrong)


def test_the_answer_does_not_depend_on_the_order_of_rows_in_the_file(catalogue: Json, groups: Json) -> None:
    for case in cases():
        members = {name: list(reversed(rows)) for name, rows in case["members"].items()}
        turned = {**case, "members": members}
        assert evaluate(turned, catalogue, groups) == evaluate(case, catalogue, groups)


def test_there_are_ninety_one_rows() -> None:
    assert len(ROWS) == 91


def test_a_bare_date_is_midnight_utc_of_that_day() -> None:
    assert instant("2026-05-01") == instant("2026-05-01T02:00:00+02:00")


def stakes(*rows: tuple[str, str, str | None]) -> Stakes:
    """Stakes from (owner, owned, percent)."""
    found: Stakes = {}
    for owner, owned, percent in rows:
        found.setdefault(owned, []).append((owner, UNKNOWN_SHARE if percent is None else Fraction(percent)))
    return found


@pytest.mark.parametrize(
    ("rows", "captured"),
    [
        ([("x", "a", "50"), ("a", "b", "50")], {"a", "b"}),
        ([("x", "a", "50"), ("x", "b", "50"), ("a", "c", "25"), ("b", "c", "25")], {"a", "b", "c"}),
        ([("x", "a", "50"), ("x", "c", "10"), ("a", "c", "40")], {"a", "c"}),
        ([("x", "a", "25"), ("a", "b", "50")], set()),
        ([("x", "a", "25"), ("x", "b", "25"), ("a", "c", "50"), ("b", "c", "50")], set()),
    ],
    ids=["FAQ 401 example 1", "example 2", "example 3", "example 4", "example 5"],
)
def test_the_cascade_answers_the_examples_of_the_fifty_percent_rule(
    rows: list[tuple[str, str, str | None]], captured: set[str]
) -> None:
    assert cascade(stakes(*rows), {"x"}, strict=False, worst=False) == captured


def test_look_through_multiplies_and_adds_where_the_cascade_does_not_capture() -> None:
    graph = stakes(("x", "c", "40"), ("x", "a", "49"), ("a", "c", "60"))
    assert look_through(graph, {"x"}, "c", worst=False) == Fraction("0.694")
    assert cascade(graph, {"x"}, strict=True, worst=False) == set()


def test_look_through_of_a_loop_is_the_solution_of_its_equations() -> None:
    graph = stakes(("x", "a", "40"), ("b", "a", "50"), ("a", "b", "80"))
    assert look_through(graph, {"x"}, "a", worst=False) == Fraction(40, 60)


def test_a_loop_that_nobody_stands_above_is_owned_by_nobody() -> None:
    graph = stakes(("a", "b", "100"), ("b", "a", "100"))
    assert look_through(graph, {"x"}, "a", worst=False) == 0


def test_unknown_shares_of_two_owners_are_together_what_the_others_do_not_hold() -> None:
    graph = stakes(("x", "a", None), ("y", "a", None), ("z", "a", "55"))
    assert cascade(graph, {"x", "y"}, strict=False, worst=True) == set()
    assert look_through(graph, {"x", "y"}, "a", worst=True) == Fraction("0.45")


def test_a_later_recorded_row_replaces_an_earlier_one_from_its_recording_on(catalogue: Json, groups: Json) -> None:
    rows = [
        {"owner": "x", "owned": "a", "percent": "30", "from": "2020-01-01", "to": None},
        {"owner": "x", "owned": "a", "percent": "60", "from": "2020-01-01T00:00:00Z", "recorded_at": "2026-05-02"},
    ]
    request = {"subject": {"type": "organisation", "id": "a"}, "model": "opus-4.6", "action": "infer"}
    shares = {}
    for known_at in ("2026-05-01", "2026-05-02"):
        case = {"at": "2026-05-01", "known_at": known_at, "members": {"ownership": rows}, "request": request}
        shares[known_at] = stakes_now(build_world(case, catalogue, groups, request))
    assert shares == {"2026-05-01": stakes(("x", "a", "30")), "2026-05-02": stakes(("x", "a", "60"))}
