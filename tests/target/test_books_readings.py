"""Which readings of the ledger make it agree with the shop's own report."""

from __future__ import annotations

from decimal import Decimal

from target_posthog.books.readings import explained, gaps

NAMES = {"net_sales", "total_sales"}


def days(**amounts: dict[str, str]) -> dict[str, dict[str, Decimal]]:
    return {day: {name: Decimal(one) for name, one in figures.items()} for day, figures in amounts.items()}


def gap(**amounts: dict[str, str]) -> dict[str, dict[str, Decimal]]:
    """Each day with all names that the report has."""
    return gaps(days(**amounts), {}, NAMES)


def test_a_gap_is_what_the_report_has_beyond_the_ledger_in_its_own_figures() -> None:
    found = gaps(
        days(a={"net_sales": "10", "total_sales": "12"}),
        days(a={"net_sales": "9", "tips": "5"}, b={"net_sales": "1"}),
        NAMES,
    )
    assert found == days(a={"net_sales": "1", "total_sales": "12"}, b={"net_sales": "-1", "total_sales": "0"})


def test_a_reading_explains_all_its_days() -> None:
    tips = days(a={"total_sales": "5"}, b={"total_sales": "2"}, c={"total_sales": "1"})
    found = explained(gap(a={"total_sales": "5"}, b={"total_sales": "2"}, c={"total_sales": "1"}), {"tips": tips})
    assert found.rest == {}
    assert found.parts == {day: {"tips": figures} for day, figures in tips.items()}


def test_several_readings_may_be_in_one_figure_of_one_day() -> None:
    readings = {"tips": days(a={"total_sales": "5"}), "cards": days(a={"total_sales": "40"}, b={"total_sales": "40"})}
    found = explained(gap(a={"total_sales": "45"}, b={"total_sales": "40"}), readings)
    assert found.rest == {}
    assert {*found.parts["a"]} == {"tips", "cards"}


def test_what_mends_one_day_and_breaks_others_is_none() -> None:
    tips = days(a={"total_sales": "5"}, b={"total_sales": "2"}, c={"total_sales": "1"})
    found = explained(gap(a={"total_sales": "5"}, b={}, c={}), {"tips": tips})
    assert found.parts == {}
    assert found.rest == days(a={"total_sales": "5"})


def test_what_only_makes_a_gap_smaller_is_none() -> None:
    found = explained(gap(a={"total_sales": "7"}), {"tips": days(a={"total_sales": "5"})})
    assert (found.parts, found.rest) == ({}, days(a={"total_sales": "7"}))


def test_the_rest_of_a_day_is_left_beside_what_is_explained() -> None:
    tips = days(a={"total_sales": "5"}, b={"total_sales": "2"})
    found = explained(gap(a={"total_sales": "5", "net_sales": "3"}, b={"total_sales": "2"}), {"tips": tips})
    assert found.parts["a"] == {"tips": {"total_sales": Decimal(5)}}
    assert found.rest == days(a={"net_sales": "3"})


def test_what_moves_to_another_day_explains_both() -> None:
    moved = days(a={"net_sales": "-90", "total_sales": "-99"}, b={"net_sales": "90", "total_sales": "99"})
    found = explained(
        gap(a={"net_sales": "-90", "total_sales": "-99"}, b={"net_sales": "90", "total_sales": "99"}), {"placed": moved}
    )
    assert found.rest == {}
    assert {*found.parts} == {"a", "b"}


def test_a_figure_that_the_report_lacks_is_not_compared() -> None:
    found = explained(gap(a={"net_sales": "5"}), {"one": days(a={"net_sales": "5", "duties": "5"})})
    assert (found.rest, found.parts) == ({}, {"a": {"one": {"net_sales": Decimal(5)}}})
