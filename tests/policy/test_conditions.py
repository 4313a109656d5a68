"""The grammar of condition cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.domain.rules import ANYTHING, FACETS, ROW_WORD, Condition, Term
from policy_engine.domain.words import VOCABULARY
from policy_engine.domain.words.parameters import Named
from policy_engine.policy.conditions import UNLESS, ConditionError, parse_condition, read_condition
from policy_engine.policy.names import OF_BOOK, Names, name_problem

PARAMETERS = st.text(alphabet="abXY09:,=/().-_!#;+", min_size=1, max_size=12)
ROW_IDS = st.from_regex(r"[A-Z0-9][A-Z0-9.-]{0,12}", fullmatch=True)


@st.composite
def terms(draw: st.DrawFn, facet: str | None) -> Term:
    if facet == UNLESS and draw(st.booleans()):
        return Term(word=ROW_WORD, parameter=draw(ROW_IDS))
    allowed = [kind for kind in VOCABULARY.values() if facet not in FACETS or facet in kind.columns]
    kind = draw(st.sampled_from(allowed))
    return Term(
        word=kind.name,
        parameter=draw(PARAMETERS) if kind.parameter else "",
        negated=draw(st.booleans()),
        only_known=draw(st.booleans()),
    )


@st.composite
def conditions(draw: st.DrawFn, facet: str | None) -> Condition:
    conjunction = st.lists(terms(facet), min_size=1, max_size=4).map(tuple)
    return Condition(alternatives=tuple(draw(st.lists(conjunction, max_size=4))))


@given(data=st.data(), facet=st.sampled_from([*FACETS, UNLESS, None]))
def test_the_canonical_spelling_of_a_condition_is_read_as_that_condition(
    data: st.DataObject, facet: str | None
) -> None:
    condition = data.draw(conditions(facet))
    assert condition == parse_condition(condition.text, facet)


@given(data=st.data(), facet=st.sampled_from([*FACETS, UNLESS, None]))
def test_white_space_around_the_signs_has_no_meaning(data: st.DataObject, facet: str | None) -> None:
    condition = data.draw(conditions(facet))
    blank = data.draw(st.sampled_from(["", " ", "  \n "]))
    spread = condition.text.replace(" | ", f"{blank}|{blank}").replace(" & ", f"{blank}&{blank}")
    assert condition == parse_condition(f"{blank}{spread}{blank}", facet)


@given(text=st.text(alphabet='abd:known !|&"\n', max_size=30), facet=st.sampled_from([*FACETS, UNLESS, None]))
def test_any_text_is_a_condition_that_reads_back_or_a_mistake_inside_it(text: str, facet: str | None) -> None:
    reading = read_condition(text, facet)
    if reading.mistakes:
        assert all(0 <= mistake.offset <= len(text) for mistake in reading.mistakes)
    else:
        assert reading.condition == parse_condition(reading.condition.text, facet)


def test_an_empty_cell_asks_nothing() -> None:
    assert parse_condition(" \n", "party") == ANYTHING


def test_a_bare_action_in_the_action_column_is_the_word_action() -> None:
    expected = parse_condition("action:infer | !action:fine_tune", "action")
    assert expected == parse_condition("infer | !fine_tune", "action")
    assert expected.text == "action:infer | !action:fine_tune"


def test_known_and_not_stand_before_a_word_in_this_order() -> None:
    expected = Condition(alternatives=((Term(word="published", negated=True, only_known=True),),))
    assert expected == parse_condition("known !published", "item")


def test_signs_of_the_casbin_language_inside_a_parameter_stay_as_written() -> None:
    (term,) = parse_condition("model:a!b==c", "item").terms
    assert term.parameter == "a!b==c"


def test_a_row_id_in_unless_is_the_row_that_lifts() -> None:
    expected = Condition(
        alternatives=((Term(word=ROW_WORD, parameter="EAR-STA"), Term(word="published")), (Term(word="on-file"),))
    )
    assert expected == parse_condition("EAR-STA & published | on-file", UNLESS)


@pytest.mark.parametrize(
    ("text", "facet", "offset", "message", "remedy"),
    [
        ("published && tier:commodity", "item", 11, "a term is missing", "write `a & b | c`, each sign once"),
        ("published || tier:commodity", "item", 11, "a term is missing", "write `a & b | c`, each sign once"),
        ("published |", "item", 11, "a term is missing", "write `a & b | c`, each sign once"),
        ("publsihed", "item", 0, "there is no word `publsihed`", "did you mean `published`?"),
        ("Published", "item", 0, "there is no word `Published`", "did you mean `published`?"),
        ("infre", "action", 0, "there is no word `infre`", "did you mean `infer`?"),
        ("infer", "item", 0, "there is no word `infer`", ""),
        ("row:EAR-STA", UNLESS, 0, "there is no word `row`", ""),
        ("EAR-STA", None, 0, "there is no word `EAR-STA`", ""),
        (
            "published & foreign-person",
            "item",
            12,
            "the word `foreign-person` does not belong in this column",
            "`party`",
        ),
        ("member", "party", 0, "the word `member` needs a parameter", "consortium id"),
        ("member:", "party", 0, "`member:` has a colon and no parameter", "right after the colon"),
        ("published:yes", "item", 0, "the word `published` takes no parameter", "write `published` alone"),
        ("'published'", "item", 0, "`'published'` has a quotation mark", "without quotation marks"),
        ("model:“x”", "item", 0, "`model:“x”` has a quotation mark", "without quotation marks"),
        ("tier:commodity published", "item", 0, "`tier:commodity published` is more than one term", "put `&` or `|`"),
        ("published # a comment", "item", 0, "`published # a comment` is more than one term", "a line of its own"),
        ("! published", "item", 0, "`! published` is more than one term", "right before a word"),
        ("!known published", "item", 0, "`!known published` is more than one term", ""),
        ("published\u00a0", "item", 0, "is more than one term", ""),
        ("!!published", "item", 0, "`!!published` is not a word", ""),
        ("!EAR-STA", UNLESS, 0, "the rule `EAR-STA` is negated", "write its id alone"),
        ("known EAR-STA", UNLESS, 0, "the rule `EAR-STA` is marked `known`", "write its id alone"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_do(
    text: str, facet: str | None, offset: int, message: str, remedy: str
) -> None:
    with pytest.raises(ConditionError) as refused:
        parse_condition(text, facet)
    (mistake,) = refused.value.mistakes
    assert offset == mistake.offset
    assert message in mistake.message
    assert remedy in mistake.remedy


def test_every_mistake_of_a_cell_is_told() -> None:
    with pytest.raises(ConditionError) as refused:
        parse_condition("foo | published & & 'bar'", "item")
    assert [mistake.offset for mistake in refused.value.mistakes] == [0, 18, 20]


def test_a_column_without_conditions_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="no column of conditions `effect`"):
        parse_condition("published", "effect")


@pytest.mark.parametrize("named", Named)
def test_a_name_of_every_kind_that_a_parameter_may_have_is_checked(named: Named) -> None:
    assert name_problem(named, "a:b c", Names(groups={}, known=dict.fromkeys(OF_BOOK, ()))) is not None
