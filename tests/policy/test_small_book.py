"""The small book that tests propose, approve and compare is a rule book like any other, and its examples hold."""

from __future__ import annotations

from policy_engine.decision.coverage import cover
from policy_engine.policy.cases import desk_folder
from policy_engine.policy.idle import never_matching
from policy_engine.service.administration.assess import check_and_try
from tests.conftest import SMALL_BOOK


def test_the_small_book_is_read_its_examples_hold_and_each_of_its_rules_is_met_by_one() -> None:
    checked = check_and_try(desk_folder(SMALL_BOOK))
    assert (checked.faults, checked.failed) == ((), ())
    assert checked.book is not None
    assert len(checked.book.rows) == 11
    assert never_matching(checked.book) == ()
    assert [row.rule for row in cover(checked.book, checked.results) if not row.exercised] == []
