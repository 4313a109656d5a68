from __future__ import annotations

import pytest

from policy_engine.domain.places import PartDoubt, PartsTest, PostcodeRule, Site, barred_part

TEST = PartsTest(
    name="UA",
    country="UA",
    subdivisions=("UA-43", "UA-14"),
    postcodes=(
        PostcodeRule(digits=5, countries=("UA",), prefixes=(("95", "UA-43"), ("83", "UA-14"))),
        PostcodeRule(digits=6, countries=("UA", "RU"), prefixes=(("295", "UA-43"),)),
    ),
)


def part(
    country: str | None, subdivision: str | None = None, postcode: str | None = None, address: str | None = None
) -> str | PartDoubt | None:
    site = Site(country=country, address=address, subdivision=subdivision, postcode=postcode)
    return barred_part(TEST, set(TEST.subdivisions), site)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (("UA", "UA-43"), "UA-43"),
        (("UA", "UA-43", "01001"), "UA-43"),
        (("RU", "UA-43"), "UA-43"),
        (("UA", None, "95000"), "UA-43"),
        (("UA", None, "95 000"), "UA-43"),
        (("RU", None, "295000"), "UA-43"),
        (("UA", "UA-99", "95000"), "UA-43"),
        (("US", None, "95000", "UA"), "UA-43"),
    ],
)
def test_a_known_subdivision_or_postcode_of_a_barred_part_bars(stated: tuple[str, ...], expected: str) -> None:
    assert part(*stated) == expected


@pytest.mark.parametrize(
    "stated",
    [
        ("UA",),
        ("UA", "UA-11"),
        ("UA", "UA-99"),
        ("UA", "UA-99", "01001"),
        ("UA", "US-CA"),
        ("UA", "US-99"),
        ("UA", "UA-30", "95000"),
        ("UA", "UA-30", "295000"),
        ("RU", "RU-MOW", "295000"),
        ("RU", "RU-CR"),
        ("RU", "UA-30"),
        ("UA", None, "9500"),
        ("UA", None, "Kyiv"),
        ("UA", None, ""),
        ("US", "US-CA", None, "UA"),
        ("US", None, "90210", "UA"),
        (None, "UA-99"),
        (None, None, None, "UA"),
    ],
)
def test_what_names_nothing_or_disagrees_leaves_the_subdivision_open(stated: tuple[str | None, ...]) -> None:
    assert part(*stated) is PartDoubt.SUBDIVISION


def test_a_postcode_that_cannot_be_read_leaves_itself_open_beside_a_known_subdivision() -> None:
    assert part("UA", "UA-30", "9500") is PartDoubt.POSTCODE


@pytest.mark.parametrize(
    "stated",
    [
        ("UA", "UA-30"),
        ("UA", "UA-30", "01001"),
        ("UA", None, "01001"),
        ("UA", "UA-30", None, "US"),
        (None, "UA-30", None, "UA"),
        (None, None, "01001", "UA"),
        ("RU",),
        ("RU", "RU-MOW", "101000"),
        ("US", "US-CA", "90210"),
        ("DE", "DE-99"),
        (None,),
    ],
)
def test_a_site_known_to_be_elsewhere_is_in_no_barred_part(stated: tuple[str | None, ...]) -> None:
    assert part(*stated) is None
