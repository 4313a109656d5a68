"""What a remedy says to write reads, once it is written, as the value that was meant, or the remedy names no value."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policy_engine.domain.instants import parse_instant
from policy_engine.formats.documents import MAX_NUMBER, Scalar, Sequence, as_written, read_document
from policy_engine.formats.faults import Fault, FaultsError, Findings
from policy_engine.formats.fields import name_fault
from policy_engine.formats.fractions import in_percent
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.row_names import command
from policy_engine.policy.cells import instant_remedy
from policy_engine.policy.conditions import spoilt_eccn
from policy_engine.policy.fields import Values
from policy_engine.policy.names import list_problem

TEXTS = st.one_of(
    st.text(max_size=90),
    st.sampled_from(
        ["null", "~", "true", "no", "1", "-1", "0x1F", "1e3", ".inf", "1_000", "a: b", "a, b", "[a]", "{a}", "# a"]
    ),
    st.sampled_from(
        ["'a'", '"a"', "a;b", "a`b", "- a", "? a", "&a", "*a", "!a", "%a", "@a", "a #b", "a\\b", "é", "0123"]
    ),
)


def faults_of(document: object) -> tuple[Fault, ...]:
    try:
        read_members(json.dumps(document).encode(), "x.json")
    except FaultsError as error:
        return tuple(error.faults)
    return ()


def proposed(remedy: str) -> str | None:
    """What stands between the first backtick after `write` and the last one."""
    found = re.search(r"write `(.*)`", remedy, re.DOTALL)
    return None if found is None else found[1]


def read(text: str) -> object:
    """What the text is, where it stands in a list of a document."""
    document = read_document(f"[{text}]".encode(), "x.yaml")
    assert isinstance(document, Sequence)
    (item,) = document.items
    assert isinstance(item, Scalar)
    return item.value


@given(TEXTS)
def test_a_text_as_it_is_written_reads_as_itself(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        return
    try:
        assert read(as_written(text)) == text
    except FaultsError:
        # Characters that no document may hold, however they are written.
        assert not text.isprintable()


@given(TEXTS, st.sampled_from([" ", "  ", "\u00a0", "\t"]))
@example("null", " ")
@example("a, b", " ")
@example("x" * 90, " ")
def test_a_name_with_blanks_around_it_is_proposed_without_them_as_the_same_text_or_not_at_all(
    text: str, blank: str
) -> None:
    for given_name in (text + blank, blank + text):
        for fault in faults_of({"organisations": [{"id": given_name}]}):
            told = proposed(fault.remedy)
            if "begins or ends with a blank" in fault.message and told is not None:
                assert read(told) == given_name.strip()
                assert name_fault(given_name.strip()) is None


SHARES = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(1, 10**40), st.integers(40, 90)
).filter(lambda share: share <= Decimal("0.5"))


@given(SHARES)
@example(Decimal("0.51"))
@example(Decimal("1E-90"))
@example(Decimal("0.1234567890123456789012345678901234567890"))
def test_a_fraction_is_proposed_as_percent_with_every_digit_or_not_at_all(share: Decimal) -> None:
    text = f"{share:f}"
    if len(text) > MAX_NUMBER:
        return
    document = {
        "organisations": [{"id": "a"}, {"id": "b"}],
        "ownership": [{"owner": "b", "owned": "a", "percent": text}],
    }
    told = [fault.remedy for fault in faults_of(document) if "percent is asked" in fault.remedy]
    assert told, text
    for remedy in told:
        first, _, second = remedy.partition("; if the fraction")
        found = proposed(first)
        assert found is None or Fraction(found) == Fraction(share) * 100
        sign = re.search(r"`(.*) %`", second)
        assert sign is None or Fraction(sign[1]) == Fraction(share)
    assert Fraction(in_percent(share)) == Fraction(share) * 100


FORMS = (
    ("%Y-%m-%d %H:%M:%S", timedelta(seconds=1)),
    ("%d.%m.%Y %H:%M:%S", timedelta(seconds=1)),
    ("%d.%m.%Y %H:%M", timedelta(minutes=1)),
    ("%m/%d/%Y %I:%M:%S %p", timedelta(seconds=1)),
    ("%d/%m/%Y", timedelta(days=1)),
    ("%Y/%m/%d", timedelta(days=1)),
)


YEAR_1000 = datetime(1000, 1, 1, tzinfo=UTC)
SECONDS_OF_9000_YEARS = 284_000_000_000


@given(st.integers(0, SECONDS_OF_9000_YEARS), st.sampled_from(FORMS))
def test_an_instant_as_a_spreadsheet_shows_it_is_proposed_to_its_last_part_or_not_at_all(
    second: int, form: tuple[str, timedelta]
) -> None:
    shown, unit = form
    at = YEAR_1000 + timedelta(seconds=second)
    meant = YEAR_1000 + (at - YEAR_1000) // unit * unit
    remedy = instant_remedy(at.strftime(shown))
    told = re.findall(r"\d{4}-\d\d-\d\d(?:T[0-9:.]+Z)?", remedy.partition("; ")[0] if "if it is" in remedy else "")
    assert not told or meant in [parse_instant(one) for one in told], remedy
    if unit < timedelta(days=1):
        assert all("T" in one for one in told)
        assert not told or "if that is UTC" in remedy


@given(st.integers(20_000, 59_999), st.integers(0, 86_399))
def test_a_day_that_a_spreadsheet_counts_is_proposed_with_its_time_of_day(day: int, second: int) -> None:
    remedy = instant_remedy(f"{day + Decimal(second) / 86_400:.10f}")
    meant = datetime(1899, 12, 30, tzinfo=UTC) + timedelta(days=day, seconds=second)
    found = re.search(r"and write (\d{4}[0-9T:Z-]+)", remedy)
    assert found is not None
    assert parse_instant(found[1]) == meant


@pytest.mark.parametrize("year", ["0033", "0999"])
def test_an_early_year_keeps_its_four_digits(year: str) -> None:
    assert f"{year}-03-02" in instant_remedy(f"2.3.{year}")


def _eccns() -> Iterable[tuple[str, str]]:
    for first, last in ((0, 0), (3, 1), (4, 91), (9, 999)):
        eccn = f"{first}E{last:03d}"
        yield eccn, f"{first}E{last}"
        yield eccn, f"{first}E+{last:02d}"
        yield eccn, f"{first}.00E+{last:02d}"


@pytest.mark.parametrize(("eccn", "spoilt"), list(_eccns()))
def test_a_classification_that_became_a_number_is_proposed_as_it_was(eccn: str, spoilt: str) -> None:
    assert spoilt_eccn(spoilt) == eccn


NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["0x1F", "0o17", "007", "1.50", "-0", "+1", ".5", "1e3", "4E91", "true", "False"]),
)


@given(NUMBERS)
def test_a_value_that_has_to_be_a_text_is_proposed_in_quotation_marks_as_it_was_spelt(spelt: str) -> None:
    document = read_document(f"[{spelt}]".encode(), "x.yaml")
    assert isinstance(document, Sequence)
    faults: list[Fault] = []
    Values(Findings(source="x", faults=faults)).text(document.items[0])
    for fault in faults:
        assert fault.remedy == f'quote it: "{spelt}"'
        assert read(fault.remedy.removeprefix("quote it: ")) == spelt


@given(st.lists(st.text(min_size=1, max_size=12).filter(str.isprintable), min_size=1, max_size=3))
def test_a_command_that_is_proposed_has_the_words_that_it_is_about(words: list[str]) -> None:
    assert shlex.split(command("end", *words)) == ["policy-engine", "members", "end", *words]


@pytest.mark.parametrize("code", ["OFSI", "NULL", "TRUE", "Y", "NO", "A-1", "FALSE"])
def test_a_list_is_proposed_to_be_declared_under_a_key_that_reads_as_its_code(code: str) -> None:
    problem = list_problem(code, frozenset())
    assert problem is not None
    found = re.search(r"as `(.*): its title`", problem.remedy)
    assert found is not None
    assert read(found[1]) == code
