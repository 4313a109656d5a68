from __future__ import annotations

import pycountry
import pytest

from policy_engine.domain.countries import COUNTRIES, is_country, is_subdivision, parts_of, suggest
from tests.domain.regenerate_subdivisions import TABLE, table


def test_the_list_has_the_249_assigned_codes_and_kosovo() -> None:
    assert len(COUNTRIES) == 250
    assert all(len(code) == 2 and code.isascii() and code.isupper() for code in COUNTRIES)
    assert is_country("XK")
    assert {one.alpha_2 for one in pycountry.countries} | {"XK"} == COUNTRIES


def test_the_table_of_subdivisions_is_that_of_the_standard() -> None:
    assert table() == TABLE.read_text(encoding="utf-8")
    assert {one.code for one in pycountry.subdivisions} == {code for country in COUNTRIES for code in parts_of(country)}


@pytest.mark.parametrize("code", ["NO", "TW", "HK", "MO", "BQ", "SS", "AX", "PS", "GB", "GR"])
def test_an_assigned_code_is_a_country(code: str) -> None:
    assert is_country(code)


@pytest.mark.parametrize("text", ["UK", "EL", "EU", "AN", "YU", "ZZ", "us", "USA", " US", "US ", "ＵＳ", ""])
def test_anything_else_is_no_country(text: str) -> None:
    assert not is_country(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("UK", "GB"),
        ("EL", "GR"),
        ("USA", "US"),
        ("PRC", "CN"),
        ("UAE", "AE"),
        ("no", "NO"),
        (" de ", "DE"),
        ("US-DE", "US"),
        ("UK-ENG", "GB"),
    ],
)
def test_a_common_misspelling_is_put_right(text: str, meant: str) -> None:
    assert suggest(text) == meant


@pytest.mark.parametrize("text", ["", "ZZ", "CHX", "Germany", "x" * 1000])
def test_no_country_is_guessed_where_none_or_several_are_near(text: str) -> None:
    assert suggest(text) is None


@pytest.mark.parametrize("text", ["UA-43", "US-CA", "GB-ENG", "FR-2A"])
def test_a_subdivision_begins_with_its_country(text: str) -> None:
    assert is_subdivision(text)


@pytest.mark.parametrize(
    "text", ["UA43", "UK-ENG", "UA-", "UA-ABCD", "ua-43", "UA-43\n", "43", "UA-11", "XX-01", "US-BY"]
)
def test_a_code_that_names_no_part_is_no_subdivision(text: str) -> None:
    assert not is_subdivision(text)
