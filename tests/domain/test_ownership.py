"""Ownership: the published examples, exact thresholds, loops, what nobody knows, and the laws of both methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policy_engine.domain.ownership import (
    MAX_STEPS,
    OVERSUBSCRIBED,
    Capture,
    Holding,
    OwnershipTest,
    Parent,
    Seed,
    capture,
    ultimate_parent,
)

pytestmark = pytest.mark.slow

Stake = tuple[str, str, str | None]
Graph = Mapping[str, Sequence[Holding]]

LISTED = OwnershipTest(name="listed", threshold=Decimal(50), strict=False, cascade=True, look_through=False)
HEADQUARTERS = OwnershipTest(name="headquarters", threshold=Decimal(50), strict=True, cascade=True, look_through=True)
THROUGH = OwnershipTest(name="through", threshold=Decimal(50), strict=True, cascade=False, look_through=True)


def graph_of(stakes: Iterable[Stake]) -> dict[str, list[Holding]]:
    graph: dict[str, list[Holding]] = {}
    for owner, owned, percent in stakes:
        graph.setdefault(owned, []).append(Holding(owner=owner, percent=None if percent is None else Decimal(percent)))
    return graph


def measured(
    target: str,
    stakes: Iterable[Stake],
    *,
    seeds: Iterable[str] = (),
    unknown_seeds: Iterable[str] = (),
    test: OwnershipTest = LISTED,
) -> Capture:
    marks = dict.fromkeys(seeds, Seed.YES) | dict.fromkeys(unknown_seeds, Seed.UNKNOWN)
    return on(graph_of(stakes), target, marks, test)


def on(graph: Graph, target: str, marks: Mapping[str, Seed], test: OwnershipTest) -> Capture:
    return capture(target, lambda owned: graph.get(owned, ()), lambda owner: marks.get(owner, Seed.NO), test)


# --- OFAC FAQ 401: x is blocked; is c or b? ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "stakes", "captured", "direct", "multiplied"),
    [
        ("b", [("x", "a", "50"), ("a", "b", "50")], True, "50", 25),
        ("c", [("x", "a", "50"), ("x", "b", "50"), ("a", "c", "25"), ("b", "c", "25")], True, "50", 25),
        ("b", [("x", "a", "50"), ("x", "b", "10"), ("a", "b", "40")], True, "50", 30),
        ("c", [("x", "a", "50"), ("x", "b", "25"), ("a", "c", "25"), ("b", "c", "25")], False, "25", Fraction(75, 4)),
        ("c", [("x", "a", "25"), ("x", "b", "25"), ("a", "c", "50"), ("b", "c", "50")], False, "0", 25),
    ],
    ids=["one above another", "two halves aggregated", "direct and through", "one arm too thin", "both arms too thin"],
)
def test_the_published_examples_come_out_by_full_direct_stakes_where_multiplying_would_not(
    target: str, stakes: list[Stake], captured: bool, direct: str, multiplied: Fraction
) -> None:
    result = measured(target, stakes, seeds=["x"])
    assert (result.surely, result.cascade_percent) == (captured, Decimal(direct))
    through = measured(target, stakes, seeds=["x"], test=THROUGH)
    assert (through.surely, through.look_through_percent) == (False, multiplied)


# --- both methods -----------------------------------------------------------------------------------------------------


KALLANG: list[Stake] = [
    ("beihe-holding", "kallang-holdco", "51"),
    ("kallang-holdco", "keihin-kk", "51"),
    ("beihe-holding", "keihin-kk", "9"),
]


def test_fifty_one_of_fifty_one_and_nine_is_sixty_by_cascade_and_thirty_five_looking_through() -> None:
    assert measured("keihin-kk", KALLANG, seeds=["beihe-holding"], test=HEADQUARTERS) == Capture(
        surely=True,
        possibly=True,
        minority=False,
        cascade_percent=Decimal(60),
        look_through_percent=Fraction(3501, 100),
        owners=("beihe-holding",),
        steps=(
            ("beihe-holding", "kallang-holdco", "51"),
            ("beihe-holding", "keihin-kk", "9"),
            ("kallang-holdco", "keihin-kk", "51"),
        ),
        methods=("cascade",),
        unknown_shares=(),
        unknown_seeds=(),
    )


def test_looking_through_captures_what_the_cascade_does_not() -> None:
    result = measured("c", [("x", "c", "40"), ("x", "a", "49"), ("a", "c", "60")], seeds=["x"], test=HEADQUARTERS)
    assert (result.methods, result.cascade_percent) == (("look_through",), Decimal(40))
    assert result.look_through_percent == Fraction(694, 10)
    assert result.steps == (("a", "c", "60"), ("x", "a", "49"), ("x", "c", "40"))


def test_both_methods_are_named_where_both_capture() -> None:
    result = measured("a", [("x", "a", "50.01")], seeds=["x"], test=HEADQUARTERS)
    assert result.methods == ("cascade", "look_through")


def test_owners_are_added_across_and_natural_persons_count() -> None:
    result = measured(
        "dune",
        [("tiandeng", "dune", "30"), ("person:kemal", "dune", "25"), ("falaj", "dune", "45")],
        seeds=["tiandeng", "person:kemal"],
    )
    assert (result.surely, result.cascade_percent) == (True, Decimal(55))
    assert result.owners == ("person:kemal", "tiandeng")
    assert ("falaj", "dune", "45") not in result.steps


def test_several_holdings_of_one_owner_in_one_company_add() -> None:
    result = measured("a", [("x", "a", "20.5"), ("x", "a", "29.50")], seeds=["x"])
    assert (result.surely, result.steps) == (True, (("x", "a", "50"),))


def test_the_cascade_and_looking_through_do_not_feed_each_other() -> None:
    """a is captured looking through alone, so its stake in b does not count in the cascade."""
    stakes: list[Stake] = [("x", "a", "40"), ("x", "m", "49"), ("m", "a", "60"), ("a", "b", "51")]
    result = measured("b", stakes, seeds=["x"], test=HEADQUARTERS)
    assert measured("a", stakes, seeds=["x"], test=HEADQUARTERS).methods == ("look_through",)
    assert (result.surely, result.cascade_percent) == (False, Decimal(0))
    assert result.look_through_percent == Fraction("35.394")


# --- thresholds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "at_least", "more_than"),
    [
        ("49.9999999999999999999999999999999999", False, False),
        ("50", True, False),
        ("50.00", True, False),
        ("5E+1", True, False),
        ("50.0000000000000000000000000000000001", True, True),
    ],
)
@pytest.mark.parametrize("method", ["cascade", "look_through"])
def test_exactly_fifty_is_at_least_fifty_and_not_more_to_any_number_of_digits(
    percent: str, at_least: bool, more_than: bool, method: str
) -> None:
    for strict, expected in ((False, at_least), (True, more_than)):
        test = OwnershipTest(
            name="t",
            threshold=Decimal(50),
            strict=strict,
            cascade=method == "cascade",
            look_through=method == "look_through",
        )
        result = measured("a", [("x", "a", percent)], seeds=["x"], test=test)
        assert (result.surely, result.possibly, result.minority) == (expected, expected, not expected)


@given(
    shares=st.lists(st.integers(1, 10**9), min_size=1, max_size=12),
    places=st.integers(0, 8),
    nudge=st.sampled_from([-1, 0, 1]),
)
def test_splits_that_add_to_exactly_half_land_on_the_right_side(shares: list[int], places: int, nudge: int) -> None:
    half = 50 * 10**places
    parts: list[int] = []
    for share in shares:
        parts.append(min(share, half - sum(parts)))
    parts.append(half - sum(parts) + nudge)
    assume(parts[-1] >= 0)
    stakes: list[Stake] = [(f"x{place}", "a", f"{part}E-{places}") for place, part in enumerate(parts)]
    seeds = [owner for owner, _, _ in stakes]
    assert measured("a", stakes, seeds=seeds).surely == (nudge >= 0)
    result = measured("a", stakes, seeds=seeds, test=HEADQUARTERS)
    assert result.methods == (("cascade", "look_through") if nudge > 0 else ())
    assert result.cascade_percent == Decimal(half + nudge).scaleb(-places)
    assert result.look_through_percent == Fraction(half + nudge, 10**places)


def test_thirds_of_a_percent_are_not_rounded_into_the_threshold() -> None:
    thirds: list[Stake] = [(f"x{place}", "a", "16.666666666666666666666666666666") for place in range(3)]
    result = measured("a", thirds, seeds=["x0", "x1", "x2"])
    assert (result.surely, result.cascade_percent) == (False, Decimal("49.999999999999999999999999999998"))


@pytest.mark.parametrize(
    ("threshold", "strict"), [("0", False), ("-1", True), ("100.1", False), ("NaN", False), ("Infinity", True)]
)
def test_a_threshold_that_is_no_percentage_above_zero_is_refused(threshold: str, strict: bool) -> None:
    with pytest.raises(ValueError, match="threshold of ownership test `t`"):
        OwnershipTest(name="t", threshold=Decimal(threshold), strict=strict, cascade=True, look_through=False)


def test_a_test_without_a_method_is_refused() -> None:
    with pytest.raises(ValueError, match="no method"):
        OwnershipTest(name="t", threshold=Decimal(50), strict=True, cascade=False, look_through=False)


def test_more_than_zero_captures_at_the_smallest_share() -> None:
    test = OwnershipTest(name="t", threshold=Decimal(0), strict=True, cascade=True, look_through=False)
    assert measured("a", [("x", "a", "0.0001")], seeds=["x"], test=test).surely
    assert not measured("a", [("x", "a", "0")], seeds=["x"], test=test).surely


def test_a_threshold_finer_than_any_share_on_file_is_not_rounded() -> None:
    test = OwnershipTest(name="t", threshold=Decimal("33.3"), strict=False, cascade=True, look_through=False)
    assert not measured("a", [("x", "a", "33")], seeds=["x"], test=test).surely
    assert measured("a", [("x", "a", "34")], seeds=["x"], test=test).surely


@pytest.mark.parametrize("percent", ["-0.01", "NaN", "Infinity"])
def test_a_share_that_is_negative_or_no_number_is_refused(percent: str) -> None:
    with pytest.raises(ValueError, match="negative or no number"):
        measured("a", [("x", "a", percent)], seeds=["x"])
    with pytest.raises(ValueError, match="negative or no number"):
        ultimate_parent("a", lambda _: [Holding(owner="x", percent=Decimal(percent))])


# --- whose status counts ----------------------------------------------------------------------------------------------


def test_the_status_of_the_target_itself_captures_nothing() -> None:
    result = measured("weser-shanghai", [("weser-ag", "weser-shanghai", "100")], seeds=["weser-shanghai"])
    assert (result.surely, result.possibly, result.minority) == (False, False, False)


def test_the_target_counts_where_it_stands_among_its_own_owners() -> None:
    result = measured("a", [("b", "a", "60"), ("a", "b", "70")], seeds=["a"])
    assert (result.surely, result.owners) == (True, ("a",))
    assert result.steps == (("a", "b", "70"), ("b", "a", "60"))
    assert not measured("a", [("b", "a", "60"), ("a", "b", "70")]).surely


def test_shares_below_and_beside_the_target_are_never_asked_for() -> None:
    asked: list[str] = []
    graph = graph_of([("x", "a", "60"), ("a", "below", "90"), ("x", "beside", "90"), ("top", "x", "10")])

    def holdings_of(owned: str) -> Sequence[Holding]:
        asked.append(owned)
        return graph.get(owned, ())

    assert capture("a", holdings_of, lambda owner: Seed.YES if owner == "x" else Seed.NO, LISTED).surely
    assert sorted(asked) == ["a", "top", "x"]


def test_nobody_asks_who_owns_a_person() -> None:
    def holdings_of(owned: str) -> Sequence[Holding]:
        assert owned == "a"
        return [Holding(owner="person:li", percent=Decimal(100))]

    assert capture("a", holdings_of, lambda _: Seed.YES, LISTED).owners == ("person:li",)


def test_without_owners_nothing_is_captured() -> None:
    assert measured("a", [], seeds=["a", "x"], test=HEADQUARTERS) == Capture(
        surely=False,
        possibly=False,
        minority=False,
        cascade_percent=Decimal(0),
        look_through_percent=Fraction(0),
        owners=(),
        steps=(),
        methods=(),
        unknown_shares=(),
        unknown_seeds=(),
    )


def test_a_seed_above_a_captured_seed_is_an_owner_too_and_one_above_a_free_seed_is_not() -> None:
    stakes: list[Stake] = [("m", "a", "60"), ("e", "m", "50")]
    assert measured("a", stakes, seeds=["m", "e"]).owners == ("e", "m")
    assert measured("a", [("m", "a", "60"), ("e", "m", "49")], seeds=["m", "e"]).owners == ("m",)


def test_a_seed_is_the_end_of_looking_through() -> None:
    result = measured("a", [("m", "a", "60"), ("e", "m", "90")], seeds=["m", "e"], test=THROUGH)
    assert (result.owners, result.look_through_percent) == (("m",), Fraction(60))


def test_a_seed_with_an_unknown_share_in_a_captured_company_is_among_its_owners() -> None:
    result = measured("a", [("m", "a", "60"), ("e", "a", None)], seeds=["m", "e"])
    assert (result.surely, result.owners) == (True, ("e", "m"))
    assert result.steps == (("e", "a", "unknown"), ("m", "a", "60"))
    assert result.unknown_shares == ()


# --- loops ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", [LISTED, HEADQUARTERS], ids=lambda test: test.name)
def test_a_loop_that_no_seed_feeds_is_free(test: OwnershipTest) -> None:
    stakes: list[Stake] = [("a", "b", "100"), ("b", "c", "100"), ("c", "a", "100"), ("x", "c", "0")]
    result = measured("a", stakes, seeds=["x"], test=test)
    assert (result.surely, result.possibly, result.minority) == (False, False, False)
    assert result.look_through_percent == 0


def test_a_loop_has_the_value_of_its_linear_system() -> None:
    """x(a) = 0.4 x(b) + 0.3, x(b) = 0.5 x(a) + 0.2: x(a) = 0.38 / 0.8."""
    stakes: list[Stake] = [("b", "a", "40"), ("x", "a", "30"), ("a", "b", "50"), ("x", "b", "20")]
    result = measured("a", stakes, seeds=["x"], test=HEADQUARTERS)
    assert result.look_through_percent == Fraction(95, 2)
    assert result.surely is False


def test_companies_that_hold_themselves_and_each_other_have_the_value_of_their_linear_system() -> None:
    """0.8 x(a) = 0.4 x(b) + 0.1, 0.7 x(b) = 0.5 x(a) + 0.1."""
    stakes: list[Stake] = [("a", "a", "20"), ("b", "a", "40"), ("x", "a", "10")]
    stakes += [("b", "b", "30"), ("a", "b", "50"), ("x", "b", "10")]
    assert measured("a", stakes, seeds=["x"], test=THROUGH).look_through_percent == Fraction(1100, 36)
    assert measured("b", stakes, seeds=["x"], test=THROUGH).look_through_percent == Fraction(1300, 36)


def test_the_values_of_two_loops_are_added_exactly() -> None:
    """x(m) = 0.2 / 0.7 and x(n) = 0.1 / 0.6."""
    stakes: list[Stake] = [("m", "m", "30"), ("x", "m", "20"), ("n", "n", "40"), ("x", "n", "10")]
    result = measured("a", [*stakes, ("m", "a", "50"), ("n", "a", "50")], seeds=["x"], test=THROUGH)
    assert result.look_through_percent == 50 * Fraction(2, 7) + 50 * Fraction(1, 6)


def test_a_loop_can_be_exactly_half() -> None:
    """x(a) = 0.25 x(a) + 0.375 = 0.5: at least half, and not more."""
    stakes: list[Stake] = [("a", "a", "25"), ("x", "a", "37.5")]
    result = measured("a", stakes, seeds=["x"], test=THROUGH)
    assert (result.look_through_percent, result.surely, result.minority) == (Fraction(50), False, True)
    at_least = OwnershipTest(name="t", threshold=Decimal(50), strict=False, cascade=False, look_through=True)
    assert measured("a", stakes, seeds=["x"], test=at_least).surely


def test_companies_that_own_all_of_each_other_pass_on_what_little_comes_in() -> None:
    stakes: list[Stake] = [("b", "a", "99.99"), ("x", "a", "0.01"), ("a", "b", "100")]
    result = measured("b", stakes, seeds=["x"], test=HEADQUARTERS)
    assert (result.look_through_percent, result.methods) == (Fraction(100), ("look_through",))


def test_a_loop_whose_shares_round_to_more_than_all_settles_at_one() -> None:
    """Unbounded, x(a) = 1.004 x(b) + 0.001 and x(b) = x(a) would have no solution at or above 0."""
    stakes: list[Stake] = [("b", "a", "100.4"), ("x", "a", "0.1"), ("a", "b", "100"), ("b", "c", "60")]
    result = measured("c", stakes, seeds=["x"], test=THROUGH)
    assert (result.look_through_percent, result.surely) == (Fraction(60), True)


def test_a_loop_of_unknown_shares_that_no_seed_feeds_is_free() -> None:
    stakes: list[Stake] = [("b", "a", None), ("a", "b", None), ("x", "b", "10")]
    result = measured("a", stakes, test=HEADQUARTERS)
    assert (result.surely, result.possibly) == (False, False)


def test_an_unknown_share_does_not_go_round_a_loop_to_nobody() -> None:
    """The worst is not that a and b hold each other, but that x holds the rest of both."""
    stakes: list[Stake] = [("b", "a", None), ("x", "a", None), ("a", "b", None), ("y", "b", "49")]
    result = measured("b", stakes, seeds=["x"], test=THROUGH)
    assert (result.surely, result.possibly) == (False, True)
    assert result.unknown_shares == (("a", "b"), ("b", "a"), ("x", "a"))


def test_in_a_loop_the_rest_goes_to_the_owner_that_turns_out_to_make_most_of_it() -> None:
    """Each company looks best served by `low` until the one above it has been given to its own best owner."""
    stakes: list[Stake] = [("x", "low", "20")]
    for place in range(3):
        stakes += [("low", f"b{place}", None), (f"b{place + 1}", f"b{place}", None)]
    stakes += [("b0", "b3", "10"), ("x", "b3", "55")]
    result = measured("b0", stakes, seeds=["x"], test=THROUGH)
    assert (result.surely, result.possibly) == (False, True)
    weaker = [*stakes[:-1], ("x", "b3", "45")]
    assert not measured("b0", weaker, seeds=["x"], test=THROUGH).possibly


# --- what nobody knows ------------------------------------------------------------------------------------------------


def test_an_unknown_share_of_a_seed_may_be_all_that_others_do_not_hold() -> None:
    for others, possible in (("49.99", True), ("50", True), ("50.01", False)):
        result = measured("a", [("x", "a", None), ("y", "a", others)], seeds=["x"])
        assert (result.surely, result.possibly, result.minority) == (False, possible, not possible)
        assert result.unknown_shares == ((("x", "a"),) if possible else ())
        assert result.methods == (("cascade",) if possible else ())
        assert result.steps == (("x", "a", "unknown"),)


def test_an_unknown_share_of_nobody_that_counts_changes_nothing() -> None:
    result = measured("a", [("x", "a", "30"), ("y", "a", None)], seeds=["x"])
    assert (result.possibly, result.minority) == (False, True)


def test_the_unknown_shares_of_one_company_are_bounded_together() -> None:
    stakes: list[Stake] = [("x", "a", None), ("y", "a", None), ("z", "a", "55")]
    assert not measured("a", stakes, seeds=["x", "y"]).possibly


def test_known_and_unknown_shares_of_seeds_add() -> None:
    result = measured("a", [("x", "a", "30"), ("y", "a", None), ("z", "a", "50")], seeds=["x", "y"])
    assert (result.surely, result.possibly, result.cascade_percent) == (False, True, Decimal(30))
    assert result.owners == ("x", "y")


def test_every_unknown_share_of_the_company_in_doubt_is_named_and_of_no_other() -> None:
    stakes: list[Stake] = [
        ("b", "a", "60"),
        ("x", "b", None),
        ("harmless", "b", None),
        ("person:li", "a", None),
        ("harmless", "x", None),
    ]
    result = measured("a", stakes, seeds=["x"], test=HEADQUARTERS)
    assert (result.surely, result.possibly, result.methods) == (False, True, ("cascade", "look_through"))
    assert result.unknown_shares == (("harmless", "b"), ("x", "b"))
    assert result.steps == (("b", "a", "60"), ("x", "b", "unknown"))


def test_an_unknown_share_with_nothing_left_for_it_is_no_doubt() -> None:
    stakes: list[Stake] = [("b", "a", "100"), ("x", "a", None), ("x", "b", None)]
    result = measured("a", stakes, seeds=["x"])
    assert (result.possibly, result.unknown_shares) == (True, (("x", "b"),))
    assert result.steps == (("b", "a", "100"), ("x", "b", "unknown"))


def test_a_company_captured_for_sure_is_not_asked_about_its_unknown_shares() -> None:
    stakes: list[Stake] = [("b", "a", None), ("x", "b", "60"), ("x", "b", None)]
    result = measured("a", stakes, seeds=["x"])
    assert (result.surely, result.possibly, result.unknown_shares) == (False, True, (("b", "a"),))


def test_an_unknown_share_on_file_that_leaves_no_room_is_a_minority() -> None:
    result = measured("a", [("x", "a", None), ("y", "a", "100")], seeds=["x"])
    assert (result.possibly, result.minority, result.owners) == (False, True, ("x",))


def test_an_unknown_headquarters_is_taken_at_its_worst_and_named() -> None:
    result = measured("a", [("q", "a", "60"), ("x", "a", "30")], seeds=["x"], unknown_seeds=["q"], test=HEADQUARTERS)
    assert (result.surely, result.possibly, result.minority) == (False, True, False)
    assert (result.owners, result.unknown_seeds, result.unknown_shares) == (("q", "x"), ("q",), ())
    assert (result.cascade_percent, result.look_through_percent) == (Decimal(30), Fraction(30))


def test_an_unknown_headquarters_below_the_threshold_is_no_doubt_and_no_minority() -> None:
    result = measured("a", [("q", "a", "50")], unknown_seeds=["q"], test=HEADQUARTERS)
    assert (result.surely, result.possibly, result.minority) == (False, False, False)


def test_the_headquarters_of_an_owner_captured_for_sure_are_not_asked_for() -> None:
    stakes: list[Stake] = [("q", "a", None), ("x", "q", "100")]
    result = measured("a", stakes, seeds=["x"], unknown_seeds=["q"], test=HEADQUARTERS)
    assert (result.possibly, result.owners, result.unknown_seeds) == (True, ("x",), ())
    assert result.unknown_shares == (("q", "a"),)


def test_what_is_sure_is_told_without_its_doubts() -> None:
    stakes: list[Stake] = [("x", "a", "51"), ("q", "a", "9"), ("y", "a", None)]
    result = measured("a", stakes, seeds=["x"], unknown_seeds=["q"], test=HEADQUARTERS)
    assert (result.surely, result.possibly, result.owners) == (True, True, ("x",))
    assert (result.unknown_shares, result.unknown_seeds) == ((), ())


def test_looking_through_gives_the_rest_to_the_owner_that_makes_most_of_it() -> None:
    stakes: list[Stake] = [("b", "a", None), ("c", "a", None), ("x", "b", "40"), ("x", "c", "60")]
    assert measured("a", stakes, seeds=["x"], test=THROUGH).possibly
    weaker: list[Stake] = [*stakes[:3], ("x", "c", "50")]
    assert not measured("a", weaker, seeds=["x"], test=THROUGH).possibly


# --- tables that cannot be right --------------------------------------------------------------------------------------


def test_above_the_limit_no_share_of_the_company_is_known() -> None:
    stakes: list[Stake] = [("beihe", "keihin", "40"), ("ueda", "keihin", "80")]
    for test in (LISTED, HEADQUARTERS):
        result = measured("keihin", stakes, seeds=["beihe"], test=test)
        assert (result.surely, result.possibly, result.cascade_percent) == (False, True, Decimal(0))
        assert result.unknown_shares == (("beihe", "keihin"), ("ueda", "keihin"))
        assert result.steps == (("beihe", "keihin", "unknown"),)
    sure_otherwise = measured("keihin", [("beihe", "keihin", "90"), ("ueda", "keihin", "80")], seeds=["beihe"])
    assert (sure_otherwise.surely, sure_otherwise.possibly) == (False, True)


def test_rounding_up_to_the_limit_leaves_the_shares_known() -> None:
    stakes: list[Stake] = [("x", "a", "50"), ("y", "a", str(OVERSUBSCRIBED - 50))]
    assert measured("a", stakes, seeds=["x"]).surely
    result = measured("a", [*stakes, ("z", "a", "0.000001")], seeds=["x"])
    assert (result.surely, result.possibly) == (False, True)


def test_even_a_share_of_zero_is_unknown_in_a_table_that_cannot_be_right() -> None:
    result = measured("a", [("x", "a", "0"), ("y", "a", "120")], seeds=["x"])
    assert (result.surely, result.possibly) == (False, True)


def test_an_owner_of_rounded_shares_is_not_worth_more_than_all_of_itself() -> None:
    result = measured("a", [("x", "b", "100.4"), ("b", "a", "49.9")], seeds=["x"], test=THROUGH)
    assert (result.look_through_percent, result.surely) == (Fraction("49.9"), False)


# --- minorities -------------------------------------------------------------------------------------------------------


def test_a_share_that_does_not_capture_is_a_minority_and_tells_whose() -> None:
    result = measured("keihin", [("beihe", "keihin", "30")], seeds=["beihe"], test=HEADQUARTERS)
    assert (result.surely, result.possibly, result.minority) == (False, False, True)
    assert (result.owners, result.steps, result.methods) == (("beihe",), (("beihe", "keihin", "30"),), ())


def test_a_share_of_a_captured_owner_is_a_minority_and_of_a_free_one_is_not_in_the_cascade() -> None:
    captured = measured("a", [("b", "a", "20"), ("x", "b", "50")], seeds=["x"])
    assert (captured.minority, captured.owners) == (True, ("x",))
    free: list[Stake] = [("b", "a", "20"), ("x", "b", "40")]
    assert not measured("a", free, seeds=["x"]).minority
    assert measured("a", free, seeds=["x"], test=HEADQUARTERS).minority


def test_an_unknown_share_of_a_company_with_a_minority_is_none_that_is_known() -> None:
    result = measured("a", [("b", "a", None), ("x", "b", "1")], seeds=["x"], test=HEADQUARTERS)
    assert (result.possibly, result.minority, result.owners, result.steps) == (False, False, (), ())


# --- size -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", [LISTED, HEADQUARTERS], ids=lambda test: test.name)
def test_a_chain_a_thousand_deep_is_followed_to_its_end(test: OwnershipTest) -> None:
    chain: list[Stake] = [(f"o{depth + 1}", f"o{depth}", "99.9") for depth in range(1_000)]
    result = measured("o0", chain, seeds=["o1000"], test=test)
    assert (result.surely, result.owners, len(result.steps)) == (True, ("o1000",), MAX_STEPS)
    assert ("o1", "o0", "99.9") in result.steps
    expected = 100 * Fraction(999, 1000) ** 1_000 if test.look_through else 0
    assert result.look_through_percent == expected


def test_a_chain_of_loops_a_thousand_deep_is_followed_to_its_end() -> None:
    chain: list[Stake] = []
    for depth in range(1_000):
        chain += [(f"o{depth + 1}", f"o{depth}", "60"), (f"o{depth}", f"o{depth}", "40")]
    result = measured("o0", chain, seeds=["o1000"], test=HEADQUARTERS)
    assert (result.surely, result.look_through_percent) == (True, Fraction(100))


def test_a_ring_of_five_hundred_is_solved() -> None:
    ring: list[Stake] = [(f"o{(place + 1) % 500}", f"o{place}", "50") for place in range(500)]
    result = measured("o0", [*ring, ("x", "o499", "50")], seeds=["x"], test=THROUGH)
    assert result.look_through_percent == 100 * Fraction(1, 2**500) / (1 - Fraction(1, 2**500))


def test_the_order_of_the_rows_changes_nothing() -> None:
    stakes: list[Stake] = [(f"x{place:03}", f"b{place % 7}", "3") for place in range(150)]
    stakes += [(f"b{place}", "a", "14") for place in range(7)]
    seeds = [owner for owner, _, _ in stakes if owner.startswith("x")]
    forwards = measured("a", stakes, seeds=seeds)
    assert forwards == measured("a", stakes[::-1], seeds=seeds)
    assert (forwards.surely, forwards.owners) == (True, tuple(seeds))
    nearest = [(f"b{place}", "a", "14") for place in range(7)]
    next_level = [(f"x{place:03}", f"b{place % 7}", "3") for place in range(MAX_STEPS - 7)]
    assert forwards.steps == (*nearest, *next_level)


# --- the ultimate parent ----------------------------------------------------------------------------------------------


def parent(target: str, stakes: Iterable[Stake]) -> Parent:
    graph = graph_of(stakes)
    return ultimate_parent(target, lambda owned: graph.get(owned, ()))


@pytest.mark.parametrize(
    ("stakes", "expected"),
    [
        ([], "a"),
        ([("b", "a", "50")], "a"),
        ([("b", "a", "50.01")], "b"),
        ([("b", "a", "25.01"), ("b", "a", "25")], "b"),
        ([("b", "a", "51"), ("c", "b", "100"), ("person:li", "c", "90")], "c"),
        ([("person:li", "a", "100")], "a"),
        ([("b", "a", "51"), ("c", "b", "51"), ("b", "c", "51")], "c"),
        ([("a", "a", "60")], "a"),
        ([("b", "a", "51"), ("c", "a", None)], "b"),
        ([("b", "a", None), ("person:li", "a", "50")], "a"),
        ([("person:li", "a", None)], "a"),
        ([("b", "a", "51"), ("b", "a", None)], "b"),
    ],
)
def test_the_parent_is_followed_through_organisations_with_more_than_half(stakes: list[Stake], expected: str) -> None:
    assert parent("a", stakes) == Parent(organisation=expected, missing=())


@pytest.mark.parametrize(
    ("stakes", "missing"),
    [
        ([("b", "a", None)], (("b", "a"),)),
        ([("b", "a", None), ("c", "a", "49.99")], (("b", "a"),)),
        ([("b", "a", "40"), ("b", "a", None), ("c", "a", "45")], (("b", "a"),)),
        ([("b", "a", None), ("person:li", "a", None)], (("b", "a"), ("person:li", "a"))),
        ([("b", "a", "100"), ("c", "b", None)], (("c", "b"),)),
        ([("b", "a", "90"), ("c", "a", "30")], (("b", "a"), ("c", "a"))),
        ([("b", "a", "50.2"), ("c", "a", "50.2")], (("b", "a"), ("c", "a"))),
        ([("b", "a", "40"), ("b", "a", None), ("c", "a", "40"), ("d", "a", None)], (("b", "a"), ("d", "a"))),
    ],
)
def test_the_parent_is_unknown_where_an_unknown_share_could_be_more_than_half(
    stakes: list[Stake], missing: tuple[tuple[str, str], ...]
) -> None:
    assert parent("a", stakes) == Parent(organisation=None, missing=missing)


# --- laws: a slow and plain reading of both methods -------------------------------------------------------------------

ORGANISATIONS = ("a", "b", "c", "d", "e")
OWNERS = (*ORGANISATIONS, "person:p")
Shares = dict[str, dict[str, Fraction]]


def slow_cascade(shares: Shares, seeds: set[str], *, meets: Callable[[Fraction], bool]) -> dict[str, bool]:
    captured = dict.fromkeys(ORGANISATIONS, False)
    for _ in ORGANISATIONS:
        captured = {
            company: meets(
                sum(
                    (share for owner, share in shares[company].items() if owner in seeds or captured.get(owner)),
                    Fraction(0),
                )
            )
            for company in ORGANISATIONS
        }
    return captured


def slow_look_through(shares: Shares, seeds: set[str], target: str) -> Fraction:
    """Gauss elimination over all companies that a seed feeds; the others are 0."""
    fed = set(seeds)
    for _ in ORGANISATIONS:
        fed |= {company for company in ORGANISATIONS if any(shares[company].get(owner) for owner in fed)}
    unknowns = sorted(fed.intersection(ORGANISATIONS) - seeds)
    place = {company: number for number, company in enumerate(unknowns)}
    rows = [[Fraction(0)] * (len(unknowns) + 1) for _ in unknowns]
    for company, row in zip(unknowns, rows, strict=True):
        row[place[company]] += 1
        for owner, share in shares[company].items():
            if owner in place:
                row[place[owner]] -= share / 100
            elif owner in seeds:
                row[-1] += share / 100
    for pivot in range(len(rows)):
        best = next(number for number in range(pivot, len(rows)) if rows[number][pivot])
        rows[pivot], rows[best] = rows[best], rows[pivot]
        rows[pivot] = [value / rows[pivot][pivot] for value in rows[pivot]]
        for number, row in enumerate(rows):
            if number != pivot and row[pivot]:
                rows[number] = [value - row[pivot] * own for value, own in zip(row, rows[pivot], strict=True)]
    x = dict.fromkeys(seeds, Fraction(1)) | {company: rows[number][-1] for company, number in place.items()}
    return sum((share * x.get(owner, Fraction(0)) for owner, share in shares[target].items()), Fraction(0))


def known_and_unknown(graph: Graph, company: str) -> tuple[dict[str, Fraction], list[str]]:
    known: dict[str, Fraction] = {}
    unknown: set[str] = set()
    for holding in graph.get(company, ()):
        if holding.percent is None:
            unknown.add(holding.owner)
        else:
            known[holding.owner] = known.get(holding.owner, Fraction(0)) + Fraction(holding.percent)
    if sum(known.values()) > Fraction(OVERSUBSCRIBED):
        return {}, sorted(unknown | known.keys())
    return known, sorted(unknown)


def worst_cases(graph: Graph) -> Iterable[Shares]:
    """Every way to give all that is left in each company to one owner with an unknown share."""
    tables = {company: known_and_unknown(graph, company) for company in ORGANISATIONS}
    options: list[list[tuple[str, str | None]]] = [
        [(company, owner) for owner in unknown] or [(company, None)] for company, (_, unknown) in tables.items()
    ]
    for chosen in product(*options):
        shares = {company: dict(known) for company, (known, _) in tables.items()}
        for company, owner in chosen:
            if owner is not None:
                rest = max(Fraction(0), 100 - sum(shares[company].values(), Fraction(0)))
                shares[company][owner] = shares[company].get(owner, Fraction(0)) + rest
        yield shares


PERCENTS = st.one_of(
    st.sampled_from(["0", "1", "10", "12.5", "24.99", "25", "25.01", "33.33", "49", "50", "51", "99.9", "100"]),
    st.decimals(min_value=0, max_value=100, places=2).map(str),
)


@st.composite
def graphs(draw: st.DrawFn, *, unknown: bool, wrong: bool = False) -> dict[str, list[Holding]]:
    """Small dense registers, loops and holdings in oneself included; shares total at most 100 unless `wrong`."""
    graph: dict[str, list[Holding]] = {}
    for company in ORGANISATIONS:
        owners = draw(st.lists(st.sampled_from(OWNERS), max_size=3))
        left = Decimal(10_000 if wrong else 100)
        rows: list[Holding] = []
        for owner in owners:
            if unknown and draw(st.integers(0, 2)) == 0:
                rows.append(Holding(owner=owner, percent=None))
            else:
                percent = min(left, Decimal(draw(PERCENTS)))
                left -= percent
                rows.append(Holding(owner=owner, percent=percent))
        graph[company] = rows
    return graph


MARKS = st.dictionaries(st.sampled_from(OWNERS), st.sampled_from([Seed.YES, Seed.YES, Seed.UNKNOWN]), max_size=3)
TESTS = st.builds(
    OwnershipTest,
    name=st.just("t"),
    threshold=st.sampled_from([Decimal(50), Decimal(50), Decimal(25), Decimal("33.33"), Decimal(100)]),
    strict=st.booleans(),
    cascade=st.just(True),
    look_through=st.booleans(),
)


def with_marks(marks: Mapping[str, Seed], *wanted: Seed) -> set[str]:
    return {owner for owner, seed in marks.items() if seed in wanted}


def meets(test: OwnershipTest) -> Callable[[Fraction], bool]:
    threshold = Fraction(test.threshold)
    return lambda percent: percent > threshold if test.strict else percent >= threshold


def slow_methods(shares: Shares, seeds: set[str], target: str, test: OwnershipTest) -> set[str]:
    methods = set()
    if test.cascade and slow_cascade(shares, seeds, meets=meets(test))[target]:
        methods.add("cascade")
    if test.look_through and meets(test)(slow_look_through(shares, seeds, target)):
        methods.add("look_through")
    return methods


@given(graph=graphs(unknown=True, wrong=False), marks=MARKS, test=TESTS, target=st.sampled_from(ORGANISATIONS))
def test_what_is_known_is_judged_as_the_plain_reading_does(
    graph: dict[str, list[Holding]], marks: dict[str, Seed], test: OwnershipTest, target: str
) -> None:
    shares = {company: known_and_unknown(graph, company)[0] for company in ORGANISATIONS}
    seeds = with_marks(marks, Seed.YES)
    result = on(graph, target, marks, test)
    expected = slow_methods(shares, seeds, target, test)
    assert result.surely == bool(expected)
    if expected:
        assert set(result.methods) == expected
    counted = seeds | {company for company, held in slow_cascade(shares, seeds, meets=meets(test)).items() if held}
    direct = sum((share for owner, share in shares[target].items() if owner in counted), Fraction(0))
    assert Fraction(result.cascade_percent) == direct
    assert result.look_through_percent == (slow_look_through(shares, seeds, target) if test.look_through else 0)


@given(
    graph=st.one_of(graphs(unknown=True), graphs(unknown=True, wrong=True)),
    marks=MARKS,
    test=TESTS,
    target=st.sampled_from(ORGANISATIONS),
)
def test_what_is_possible_is_the_worst_of_all_ways_to_give_the_rest_away(
    graph: dict[str, list[Holding]], marks: dict[str, Seed], test: OwnershipTest, target: str
) -> None:
    assume(all(sum(known_and_unknown(graph, company)[0].values()) <= 100 for company in ORGANISATIONS))
    seeds = with_marks(marks, Seed.YES, Seed.UNKNOWN)
    expected: set[str] = set()
    for shares in worst_cases(graph):
        expected |= slow_methods(shares, seeds, target, test)
    result = on(graph, target, marks, test)
    assert result.possibly == bool(expected)
    if not result.surely:
        assert set(result.methods) == expected


@given(
    graph=st.one_of(graphs(unknown=True), graphs(unknown=True, wrong=True)),
    marks=MARKS,
    test=TESTS,
    target=st.sampled_from(ORGANISATIONS),
)
def test_sure_is_possible_and_a_minority_is_neither(
    graph: dict[str, list[Holding]], marks: dict[str, Seed], test: OwnershipTest, target: str
) -> None:
    result = on(graph, target, marks, test)
    assert result.possibly or not result.surely
    assert not (result.minority and result.possibly)
    assert bool(result.methods) == result.possibly
    assert bool(result.owners) == bool(result.steps) == (result.possibly or result.minority)
    if result.surely or not result.possibly:
        assert (result.unknown_shares, result.unknown_seeds) == ((), ())
    else:
        assert result.unknown_shares or result.unknown_seeds
    assert set(result.unknown_seeds) <= with_marks(marks, Seed.UNKNOWN)
    assert set(result.owners) <= with_marks(marks, Seed.YES, Seed.UNKNOWN)


@given(graph=graphs(unknown=True), marks=MARKS, test=TESTS, target=st.sampled_from(ORGANISATIONS), data=st.data())
def test_one_more_seed_never_frees_a_company(
    graph: dict[str, list[Holding]],
    marks: dict[str, Seed],
    test: OwnershipTest,
    target: str,
    data: st.DataObject,
) -> None:
    before = on(graph, target, marks, test)
    more = marks | {data.draw(st.sampled_from(OWNERS)): Seed.YES}
    after = on(graph, target, more, test)
    assert after.surely >= before.surely
    assert after.possibly >= before.possibly
    assert after.look_through_percent >= before.look_through_percent


@given(graph=graphs(unknown=False), marks=MARKS, test=TESTS, target=st.sampled_from(ORGANISATIONS), data=st.data())
def test_one_more_stake_of_a_seed_never_frees_a_company(
    graph: dict[str, list[Holding]],
    marks: dict[str, Seed],
    test: OwnershipTest,
    target: str,
    data: st.DataObject,
) -> None:
    company = data.draw(st.sampled_from(ORGANISATIONS))
    seed = data.draw(st.sampled_from(OWNERS))
    marks = marks | {seed: Seed.YES}
    left = 100 - sum((row.percent or Decimal(0) for row in graph[company]), Decimal(0))
    more = graph | {company: [*graph[company], Holding(owner=seed, percent=left)]}
    before, after = on(graph, target, marks, test), on(more, target, marks, test)
    assert after.surely >= before.surely
    assert after.possibly >= before.possibly
    assert after.look_through_percent >= before.look_through_percent


@given(graph=graphs(unknown=True), marks=MARKS, test=TESTS, target=st.sampled_from(ORGANISATIONS), data=st.data())
def test_learning_an_unknown_share_or_status_never_makes_capture_possible_nor_sure_capture_undone(
    graph: dict[str, list[Holding]],
    marks: dict[str, Seed],
    test: OwnershipTest,
    target: str,
    data: st.DataObject,
) -> None:
    learned: dict[str, list[Holding]] = {}
    for company, rows in graph.items():
        left = 100 - sum((row.percent or Decimal(0) for row in rows), Decimal(0))
        learned[company] = []
        for row in rows:
            percent = row.percent
            if percent is None:
                percent = data.draw(st.decimals(min_value=0, max_value=left, places=2))
                left -= percent
            learned[company].append(Holding(owner=row.owner, percent=percent))
    settled = {
        owner: data.draw(st.sampled_from([Seed.YES, Seed.NO])) if seed is Seed.UNKNOWN else seed
        for owner, seed in marks.items()
    }
    before, after = on(graph, target, marks, test), on(learned, target, settled, test)
    assert after.surely >= before.surely
    assert before.possibly >= after.possibly


# --- shares that total a little more than all -------------------------------------------------------------------------


@st.composite
def rounded_graphs(draw: st.DrawFn, *, unknown: bool) -> dict[str, list[Holding]]:
    """Registers in which many companies have known shares that total between 100 and the limit."""
    graph: dict[str, list[Holding]] = {}
    for company in ORGANISATIONS:
        owners = draw(st.lists(st.sampled_from(OWNERS), min_size=1, max_size=3))
        if unknown and draw(st.integers(0, 2)) == 0:
            graph[company] = [Holding(owner=owner, percent=None) for owner in owners]
            continue
        total = draw(st.sampled_from([10_000, 10_040, 10_050]))
        cuts = sorted(draw(st.integers(0, total)) for _ in owners[1:])
        graph[company] = [
            Holding(owner=owner, percent=Decimal(high - low) / 100)
            for owner, low, high in zip(owners, [0, *cuts], [*cuts, total], strict=True)
        ]
    return graph


@given(graph=rounded_graphs(unknown=False), marks=MARKS)
def test_values_solve_their_equations_with_no_owner_above_one(
    graph: dict[str, list[Holding]], marks: dict[str, Seed]
) -> None:
    """Of the companies that a seed feeds there is one solution above 0; the others must have 0."""
    seeds = with_marks(marks, Seed.YES)
    percent = {company: on(graph, company, marks, THROUGH).look_through_percent for company in ORGANISATIONS}
    x = {company: min(Fraction(1), value / 100) for company, value in percent.items()}
    x |= dict.fromkeys(seeds, Fraction(1))
    fed = set(seeds)
    for company in ORGANISATIONS:
        known, _ = known_and_unknown(graph, company)
        assert percent[company] == sum(share * x.get(owner, Fraction(0)) for owner, share in known.items())
    for _ in ORGANISATIONS:
        fed |= {company for company in ORGANISATIONS if any(known_and_unknown(graph, company)[0].get(o) for o in fed)}
    for company in ORGANISATIONS:
        held_by_fed = any(known_and_unknown(graph, company)[0].get(owner) for owner in fed)
        assert (percent[company] > 0) == held_by_fed


@given(graph=rounded_graphs(unknown=True), marks=MARKS, target=st.sampled_from(ORGANISATIONS))
def test_the_worst_of_rounded_shares_is_what_patient_iteration_comes_to(
    graph: dict[str, list[Holding]], marks: dict[str, Seed], target: str
) -> None:
    x = dict.fromkeys(OWNERS, 0.0) | dict.fromkeys(with_marks(marks, Seed.YES, Seed.UNKNOWN), 1.0)
    tables = {company: known_and_unknown(graph, company) for company in ORGANISATIONS}
    plain = {
        company: ([(owner, float(share) / 100) for owner, share in known.items()], unknown)
        for company, (known, unknown) in tables.items()
    }
    rest = {company: max(0.0, 1 - sum(share for _, share in known)) for company, (known, _) in plain.items()}

    def total(company: str) -> float:
        known, unknown = plain[company]
        best = max((x[owner] for owner in unknown), default=0.0)
        return sum(share * x[owner] for owner, share in known) + rest[company] * best

    free = [company for company in ORGANISATIONS if marks.get(company) is None]
    for _ in range(3_000):
        moved = 0.0
        for company in free:
            value = min(1.0, total(company))
            moved, x[company] = max(moved, value - x[company]), value
        if moved < 1e-9:
            break
    assume(moved < 1e-9)
    reached = 100 * total(target)
    assume(abs(reached - 50) > 0.01)
    assert on(graph, target, marks, THROUGH).possibly == (reached > 50)
