"""docs/members.md has every field that the membership file has, and no other."""

from __future__ import annotations

import re

import pytest

from policy_engine.formats.faults import FaultsError
from policy_engine.formats.membership_file import read_members
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "members.md").read_text(encoding="utf-8")
EVERYWHERE = {"recorded_at", "retracted"}
SECTIONS = (
    "organisations",
    "ownership",
    "people",
    "accounts",
    "memberships",
    "authorisations",
    "listings",
    "statements",
    "clusters",
)


def fields_read(section: str) -> set[str]:
    """What the reader says may stand in a row, when something stands there that may not."""
    with pytest.raises(FaultsError) as caught:
        read_members(f"{section}: [{{zzz: 1}}]".encode(), "page")
    fault = next(fault for fault in caught.value.faults if "`zzz`" in fault.message)
    return set(fault.remedy.rpartition("write one of ")[2].split(", ")) - EVERYWHERE


def fields_told(section: str) -> set[str]:
    """The first column of the section's table."""
    heading = next(part for part in re.split("\n###? ", PAGE) if f"`{section}`" in part.partition("\n")[0])
    rows = re.findall(r"^\| (`[^|]*`) \|", heading, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]*)`", row)}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_page_has_the_fields_of_the_section(section: str) -> None:
    told = fields_told(section)

    expected = fields_read(section)
    if section == "memberships":
        expected |= {"id", "name"}  # of the consortia, in the same table
    assert told == expected
