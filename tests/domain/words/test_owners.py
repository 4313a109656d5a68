"""Under which programmes an owner on a list counts: what nobody knows counts."""

from __future__ import annotations

import pytest

from policy_engine.domain.roster import Listing, ListingStatus
from policy_engine.domain.words.owners import counts_under

PROGRAMMES = {"SDN": ("NPWMD", "RUSSIA-EO14024")}


def entry(programmes: tuple[str, ...] | None, on: str = "SDN") -> Listing:
    return Listing(
        party="oak",
        list=on,
        entry="OAK",
        entry_version="1",
        reference="90 FR 1",
        status=ListingStatus.CONFIRMED,
        programmes=programmes,
    )


@pytest.mark.parametrize("filed", [None, (), ("",), ("[]",), (" ; ",), ("[ ] [ ]", ",")])
def test_an_entry_whose_programmes_name_none_counts(filed: tuple[str, ...] | None) -> None:
    assert counts_under(entry(filed), PROGRAMMES)


@pytest.mark.parametrize("filed", ["NPWMD", "CUBA; NPWMD", "[CUBA] [RUSSIA-EO14024]", "npwmd", "Cuba", "E.O. 14024"])
def test_an_entry_under_one_that_counts_or_that_nobody_can_read_counts(filed: str) -> None:
    assert counts_under(entry((filed,)), PROGRAMMES)


def test_an_entry_under_others_alone_does_not_count_and_on_another_list_does() -> None:
    assert not counts_under(entry(("CUBA",)), PROGRAMMES)
    assert not counts_under(entry(("[CUBA] []",)), PROGRAMMES)
    assert counts_under(entry(("CUBA",), on="EL"), PROGRAMMES)
