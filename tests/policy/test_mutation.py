"""A change to one row makes a worked example fail, or nobody would notice it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from policy_engine.decision.case_runner import run_case, run_cases
from policy_engine.decision.mutation import Kind, Mutant, MutantTrial, MutationBench, Score, mutants_of
from policy_engine.domain.roster import UsStatusKind
from policy_engine.domain.rules import Book
from policy_engine.policy.cases import Case
from policy_engine.policy.judge import Judge, JudgingError
from policy_engine.policy.reader import read_book
from tests.conftest import CASES, book_for, judge_of, shipped
from tests.policy.books import BAR, GRANT, NOTE, book, sheet
from tests.policy.examples import ALLOWED, BARRED, cases_of, example, reading

SHIPPED = shipped()


def changes(rule: str, *rows: Mapping[str, str]) -> set[tuple[str, str]]:
    """Kind and description of the mutants of a rule in a book with these rows."""
    mutants = mutants_of(read_book(book(rules=sheet(*rows))))
    return {(mutant.kind.value, mutant.description) for mutant in mutants if mutant.rule == rule}


def killers(folder: Path, files: Mapping[str, bytes], *texts: str) -> dict[tuple[str, str], str | None]:
    """The case that kills each mutant of the book, by rule and description."""
    return killers_among(cases_of(folder, *texts), files)


def killers_among(cases: list[Case], files: Mapping[str, bytes]) -> dict[tuple[str, str], str | None]:
    """The same, for cases already read."""
    bench = MutationBench(run_cases(cases, reading(files)))
    trials = [bench.trial(mutant) for mutant in mutants_of(read_book(files))]
    return {(trial.mutant.rule, trial.mutant.description): trial.killed_by for trial in trials}


# --- what is generated ------------------------------------------------------------------------------------------------

FULL_BAR = {
    **BAR,
    "hold": "yes",
    "judges": "parties and host",
    "place": "located-in:CU | place-stated & receives-in:CN",
    "unless": "PAPERS | claims & holds:vendor/licence",
    "codes": "REGION_UNSUPPORTED; LOCATION_UNKNOWN if unknown located-in:CU",
    "obligations": "keep = Keep it.; tell = Tell it.",
    "from": "2026-01-01",
    "to": "2027-01-01",
    "suspended": "2026-03-01/2026-04-01",
}


def test_a_bar_is_changed_in_everything_that_an_answer_may_depend_on() -> None:
    place = "`place-stated & receives-in:CN` of `place`"
    lifted = "`claims & holds:vendor/licence` of `unless`"
    assert changes("REGION", GRANT, FULL_BAR, NOTE) == {
        ("row", "the row is dropped"),
        ("effect", "the deny is a note"),
        ("column", "`action` asks nothing"),
        ("alternative", "without the alternative `action:infer` of `action`"),
        ("alternative", "without the alternative `action:list` of `action`"),
        ("column", "`place` asks nothing"),
        ("alternative", "without the alternative `located-in:CU` of `place`"),
        ("alternative", f"without the alternative {place}"),
        ("term", f"without `place-stated` in {place}"),
        ("term", f"without `receives-in:CN` in {place}"),
        ("column", "nothing lifts the bar"),
        ("alternative", "without the alternative `PAPERS` of `unless`"),
        ("alternative", f"without the alternative {lifted}"),
        ("term", f"without `claims` in {lifted}"),
        ("term", f"without `holds:vendor/licence` in {lifted}"),
        ("instant", "in force from an hour earlier than 2026-01-01T00:00:00.000000Z"),
        ("instant", "in force from an hour later than 2026-01-01T00:00:00.000000Z"),
        ("instant", "in force until an hour earlier than 2027-01-01T00:00:00.000000Z"),
        ("instant", "in force until an hour later than 2027-01-01T00:00:00.000000Z"),
        ("instant", "suspended from an hour earlier than 2026-03-01T00:00:00.000000Z"),
        ("instant", "suspended from an hour later than 2026-03-01T00:00:00.000000Z"),
        ("instant", "suspended until an hour earlier than 2026-04-01T00:00:00.000000Z"),
        ("instant", "suspended until an hour later than 2026-04-01T00:00:00.000000Z"),
        ("hold", "the hold is taken off"),
        ("host", "the host is not judged"),
        ("enforcement", "advisory and not enforced"),
        ("code", "without the code `REGION_UNSUPPORTED`"),
        ("code", "without the code `LOCATION_UNKNOWN if unknown located-in:CU`"),
        ("obligation", "without the obligation `keep`"),
        ("obligation", "without the obligation `tell`"),
    }


def test_a_grant_holds_nothing_and_judges_no_host() -> None:
    assert changes("ACCESS", GRANT) == {
        ("row", "the row is dropped"),
        ("effect", "the permit is a note"),
        ("column", "`action` asks nothing"),
        ("alternative", "without the alternative `action:infer` of `action`"),
        ("alternative", "without the alternative `action:list` of `action`"),
        ("column", "`item` asks nothing"),
        ("enforcement", "advisory and not enforced"),
    }


def test_a_note_is_enforced_and_obliges_only_where_it_lifts_a_bar() -> None:
    note = {**NOTE, "action": "", "obligations": "keep = Keep it."}
    alone = {
        ("row", "the row is dropped"),
        ("column", "`authorisation` asks nothing"),
    }
    hosting = {("host", "the host is not judged")}
    assert changes("PAPERS", GRANT, BAR, {**note, "judges": "parties and host"}) == alone | hosting
    lifting = {("enforcement", "advisory and not enforced"), ("obligation", "without the obligation `keep`")}
    assert changes("PAPERS", GRANT, BAR, note) == alone
    assert changes("PAPERS", GRANT, {**BAR, "unless": "PAPERS"}, note) == alone | lifting


def test_the_host_makes_no_difference_to_a_bar_that_asks_nothing_of_a_party() -> None:
    bar = {**BAR, "place": "", "item": "tier:commodity"}
    assert "host" not in {kind for kind, _ in changes("REGION", GRANT, bar)}
    assert "host" in {kind for kind, _ in changes("REGION", GRANT, {**bar, "unless": "on-file"})}


def test_an_interval_shorter_than_the_shift_keeps_its_ends_in_order() -> None:
    bar = {**BAR, "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:30:00Z"}
    shifts = {description for kind, description in changes("REGION", GRANT, bar) if kind == "instant"}
    assert shifts == {
        "in force from an hour earlier than 2026-01-01T00:00:00.000000Z",
        "in force until an hour later than 2026-01-01T00:30:00.000000Z",
    }


def test_each_change_of_the_shipped_book_is_a_different_row_with_the_same_id() -> None:
    mutants = mutants_of(SHIPPED)
    assert {mutant.kind for mutant in mutants} == set(Kind)
    assert {mutant.rule for mutant in mutants} == {row.id for row in SHIPPED.rows}
    changed = [mutant.row for mutant in mutants if mutant.row is not None]
    assert len({*changed, *SHIPPED.rows}) == len(changed) + len(SHIPPED.rows)
    assert all(mutant.row is None or mutant.row.id == mutant.rule for mutant in mutants)
    described = [(mutant.rule, mutant.description) for mutant in mutants]
    assert len(set(described)) == len(described)


# --- what a case notices ----------------------------------------------------------------------------------------------


def test_a_change_is_killed_by_the_case_that_it_turns_and_survives_where_no_case_looks(tmp_path: Path) -> None:
    killed = killers(tmp_path, book(), ALLOWED, BARRED)
    assert killed["REGION", "the row is dropped"] == "BARRED"
    assert killed["REGION", "the deny is a note"] == "BARRED"
    assert killed["REGION", "`place` asks nothing"] == "ALLOWED"
    assert killed["REGION", "without the alternative `action:infer` of `action`"] == "BARRED"
    assert killed["ACCESS", "the row is dropped"] == "ALLOWED"
    assert killed["ACCESS", "the permit is a note"] == "ALLOWED"
    assert killed["ACCESS", "advisory and not enforced"] == "ALLOWED"
    assert killed["ACCESS", "without the alternative `action:list` of `action`"] is None
    assert killed["PAPERS", "the row is dropped"] is None
    listed = example("LISTED", "decision: allow", action="list")
    killed = killers(tmp_path, book(), ALLOWED, BARRED, listed)
    assert killed["ACCESS", "without the alternative `action:list` of `action`"] == "LISTED"


@pytest.mark.parametrize(
    ("at", "decision", "description"),
    [
        ("2026-05-31T23:30:00Z", "allow", "in force from an hour earlier than 2026-06-01T00:00:00.000000Z"),
        ("2026-06-01T00:30:00Z", "deny", "in force from an hour later than 2026-06-01T00:00:00.000000Z"),
        ("2026-06-30T23:30:00Z", "deny", "in force until an hour earlier than 2026-07-01T00:00:00.000000Z"),
        ("2026-07-01T00:30:00Z", "allow", "in force until an hour later than 2026-07-01T00:00:00.000000Z"),
        ("2026-06-09T23:30:00Z", "deny", "suspended from an hour earlier than 2026-06-10T00:00:00.000000Z"),
        ("2026-06-10T00:30:00Z", "allow", "suspended from an hour later than 2026-06-10T00:00:00.000000Z"),
        ("2026-06-19T23:30:00Z", "allow", "suspended until an hour earlier than 2026-06-20T00:00:00.000000Z"),
        ("2026-06-20T00:30:00Z", "deny", "suspended until an hour later than 2026-06-20T00:00:00.000000Z"),
    ],
)
def test_a_shifted_instant_is_noticed_by_a_case_within_the_hour_and_by_no_other(
    tmp_path: Path, at: str, decision: str, description: str
) -> None:
    dated = {"from": "2026-06-01", "to": "2026-07-01", "suspended": "2026-06-10/2026-06-20"}
    files = book(rules=sheet(GRANT, {**BAR, **dated}))
    killed = killers(tmp_path, files, example("X", f"decision: {decision}", at=at, country="IR"))
    shifts = {name: killer for (_, name), killer in killed.items() if " an hour " in name}
    assert shifts == {name: "X" if name == description else None for name in shifts}


def test_a_case_that_asks_until_when_its_answer_holds_notices_an_instant_that_is_to_come(tmp_path: Path) -> None:
    files = book(rules=sheet(GRANT, {**BAR, "from": "2026-06-01T12:00:10Z"}))
    ends = example("ENDS", "decision: allow, valid_until: 2026-06-01T12:00:10Z")
    later = "in force from an hour later than 2026-06-01T12:00:10.000000Z"
    assert killers(tmp_path, files, ends)["REGION", later] == "ENDS"
    assert killers(tmp_path, files, example("X", "decision: allow"))["REGION", later] is None


def test_a_hold_an_obligation_and_a_code_are_noticed_by_a_case_that_asks_for_them(tmp_path: Path) -> None:
    bar = {**BAR, "codes": "REGION_UNSUPPORTED; LOCATION_UNKNOWN", "obligations": "keep = Keep it."}
    files = book(rules=sheet(GRANT, bar))
    described = ("the hold is put on", "without the obligation `keep`", "without the code `LOCATION_UNKNOWN`")
    asks = "decision: deny, hold: false, obligations: [keep], codes: [LOCATION_UNKNOWN]"
    killed = killers(tmp_path, files, example("ASKS", asks, country="IR"))
    assert [killed["REGION", one] for one in described] == ["ASKS"] * 3
    killed = killers(tmp_path, files, example("X", "decision: deny", country="IR"))
    assert [killed["REGION", one] for one in described] == [None] * 3


def test_a_host_is_noticed_by_a_case_that_names_one(tmp_path: Path) -> None:
    files = book(rules=sheet(GRANT, {**BAR, "place": "", "party": "foreign-organisation"}))
    hosted = example("HOSTED", "decision: allow", extra=", destination: {host: elsewhere}")
    assert killers(tmp_path, files, hosted)["REGION", "the host is judged too"] == "HOSTED"
    assert killers(tmp_path, files, ALLOWED)["REGION", "the host is judged too"] is None


def test_a_row_that_is_left_with_nothing_to_say_is_killed(tmp_path: Path) -> None:
    bar = {**BAR, "codes": "REGION_UNSUPPORTED if place-stated; LOCATION_UNKNOWN if !place-stated"}
    killed = killers(tmp_path, book(rules=sheet(GRANT, bar)), BARRED)
    assert killed["REGION", "without the code `REGION_UNSUPPORTED if place-stated`"] == "BARRED"
    assert killed["REGION", "without the code `LOCATION_UNKNOWN if !place-stated`"] is None


def test_a_row_that_is_left_to_stand_on_an_item_that_nobody_knows_is_killed_by_a_case_of_one(tmp_path: Path) -> None:
    bar = {**BAR, "item": "in-catalogue & kind:model", "party": "!on-file", "place": "", "codes": "SUBJECT_UNKNOWN"}
    files = book(rules=sheet(GRANT, bar))
    neither = example("NEITHER", "decision: deny, only_rules: [ENGINE-NO-GRANT]", subject="nobody", model="gamma-1")
    for case, killer in ((neither, "NEITHER"), (example("UNKNOWN", "decision: deny", model="gamma-1"), None)):
        killed = killers(tmp_path, files, case)
        assert killed["REGION", "without `in-catalogue` in `in-catalogue & kind:model` of `item`"] == killer


def test_a_case_that_sets_the_enforcement_does_not_notice_that_of_the_file(tmp_path: Path) -> None:
    files = book(rules=sheet(GRANT, {**BAR, "enforcement": "advisory"}))
    setting = "  settings: {enforcement: {REGION: enforced}}\n"
    killed = killers(tmp_path, files, example("SET", "decision: deny", country="IR", more=setting))
    assert killed["REGION", "enforced and not advisory"] is None
    assert killed["REGION", "`place` asks nothing"] is None
    assert killed["REGION", "the row is dropped"] == "SET"


def test_a_case_that_asks_for_other_models_notices_what_bars_only_those(tmp_path: Path) -> None:
    files = book(rules=sheet(GRANT, {**BAR, "item": "!model:alpha-1", "place": ""}))
    beta = """  catalogue:
    beta-1: {kind: model, tier: commodity, vendor: acme, weights: unpublished, consortium: null, lineage: [],
             requires_end_user: false}
"""
    fallbacks = ", fallbacks: [beta-1]"
    asks = example("X", "decision: allow, alternatives: []", extra=fallbacks, more=beta)
    assert killers(tmp_path, files, asks)["REGION", "the row is dropped"] == "X"
    does_not = example("X", "decision: allow", extra=fallbacks, more=beta)
    assert killers(tmp_path, files, does_not)["REGION", "the row is dropped"] is None


def test_a_case_in_which_a_row_is_only_looked_at_by_another_notices_that_it_is_gone(tmp_path: Path) -> None:
    note = {**NOTE, "authorisation": "", "party": "status-read-by:REGION", "codes": "US_PERSON"}
    files = book(rules=sheet(GRANT, {**BAR, "item": "kind:model"}, note))
    killed = killers(tmp_path, files, example("READ", "decision: allow, other: [PAPERS]"))
    for description in ("the row is dropped", "the deny is a note", "advisory and not enforced"):
        assert killed["REGION", description] == "READ"
    assert killed["REGION", "without the alternative `action:infer` of `action`"] == "READ"
    assert killed["REGION", "without the alternative `action:list` of `action`"] is None
    assert killed["REGION", "the hold is put on"] is None


def test_a_case_that_asks_for_remedies_notices_what_only_they_depend_on(tmp_path: Path) -> None:
    files = book(rules=sheet(GRANT, {**BAR, "place": "", "unless": "PAPERS"}, NOTE))
    asks = example("ASKS", "decision: deny, remedies: [authorisation]")
    assert killers(tmp_path, files, asks)["PAPERS", "the row is dropped"] == "ASKS"
    does_not = example("X", "decision: deny")
    assert killers(tmp_path, files, does_not)["PAPERS", "the row is dropped"] is None


def test_a_case_about_somebody_who_is_not_on_file_notices_what_says_so(tmp_path: Path) -> None:
    files = book(rules=sheet(GRANT, {**BAR, "place": "", "party": "!on-file", "codes": "SUBJECT_UNKNOWN"}))
    unknown = example("UNKNOWN", "decision: deny, only_rules: [REGION]", subject="nobody")
    killed = killers(tmp_path, files, unknown)
    assert killed["REGION", "the row is dropped"] == "UNKNOWN"
    assert killed["REGION", "`party` asks nothing"] == "UNKNOWN"
    assert killed["ACCESS", "the row is dropped"] is None


def test_a_case_in_which_the_file_contradicts_itself_notices_who_asks(tmp_path: Path) -> None:
    files = book(rules=sheet(GRANT, {**BAR, "party": "foreign-person"}))
    text = example("FAULT", "decision: deny, reason: ENGINE_FAULT", country="IR")
    (case,) = cases_of(tmp_path, text.replace("kind: employee}]", "kind: employee}], us_status: [{kind: none}]"))
    (status,) = case.members.us_statuses
    twice = (status, replace(status, kind=UsStatusKind.CITIZEN))
    killed = killers_among([replace(case, members=replace(case.members, us_statuses=twice))], files)
    assert killed["REGION", "the row is dropped"] == "FAULT"
    assert killed["REGION", "`party` asks nothing"] == "FAULT"
    assert killed["REGION", "`place` asks nothing"] is None
    assert killed["ACCESS", "the row is dropped"] is None


def test_a_case_that_fails_as_it_is_kills_nothing(tmp_path: Path) -> None:
    wrong = example("WRONG", "decision: deny")
    assert set(killers(tmp_path, book(), wrong).values()) == {None}


def test_the_score_is_the_share_that_is_killed() -> None:
    one, other = mutants_of(SHIPPED)[:2]
    trials = [
        MutantTrial(mutant=one, killed_by="X"),
        MutantTrial(mutant=other, killed_by=None),
        MutantTrial(mutant=one, killed_by="Y"),
    ]
    score = Score.of(trials)
    assert (score.mutants, score.killed, score.survivors) == (3, 2, (other,))
    assert score.percent == pytest.approx(66.667, abs=0.001)
    assert Score.of([]).percent == 0


# --- what is left out changes nothing ---------------------------------------------------------------------------------


def fails_with(mutant: Mutant, case: Case, judges: dict[object, Judge]) -> bool:
    """Whether the case fails with the mutant, with nothing left out."""
    filed: Book = judge_of(case).book
    rows = []
    for row in filed.rows:
        if row.id != mutant.rule:
            rows.append(row)
        elif mutant.row is not None:
            overridden = row.id in dict(case.enforcement)
            rows.append(replace(mutant.row, enforcement=row.enforcement) if overridden else mutant.row)
    judge = judges.setdefault((case.enforcement, case.catalogue), Judge(replace(filed, rows=tuple(rows))))
    try:
        return not run_case(case, judge).holds
    except (JudgingError, LookupError):
        return True


@pytest.mark.slow
def test_trying_a_change_on_few_cases_tells_the_same_as_trying_it_on_all() -> None:
    """A sample: every seventh case, and every forty-third change."""
    cases = CASES[::7]
    bench = MutationBench(run_cases(cases, book_for))
    for mutant in mutants_of(SHIPPED)[::43]:
        judges: dict[object, Judge] = {}
        first = next((case.id for case in cases if fails_with(mutant, case, judges)), None)
        assert bench.trial(mutant).killed_by == first, mutant.description
