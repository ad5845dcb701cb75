"""Stores side by side: threads that keep out of each other's way."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tap_shopify_orders.command import is_wanted
from tap_shopify_orders.errors import RunError, UnwritableError
from tap_shopify_orders.shopify.answers import Busy
from tap_shopify_orders.side_by_side import SideBySide, Stop

if TYPE_CHECKING:
    from collections.abc import Callable

SHOPS = ("eu", "us", "jp", "br")
LOGGER = logging.getLogger("tap-shopify-orders")


class Run:
    """A run of one store that does what it is told."""

    def __init__(self, shop: str) -> None:
        self.shop, self.reading = shop, False


def side_by_side(shops: tuple[str, ...] = SHOPS, *, at_once: int = 2, stop: Stop | None = None) -> SideBySide:
    return SideBySide(shops, Run, at_once=at_once, stop=stop or Stop(), logger=LOGGER)


def fails(shop: str, error: BaseException) -> Callable[[Run], None]:
    def act(run: Run) -> None:
        if run.shop == shop:
            raise error

    return act


def test_each_store_has_its_turn_in_a_thread_of_its_name() -> None:
    came = []
    side_by_side(at_once=1).each(lambda run: came.append((run.shop, threading.current_thread().name)))
    assert came == [(shop, shop) for shop in SHOPS]


@pytest.mark.parametrize("error", [RunError("It is closed."), Busy("It is busy.")])
def test_a_known_reason_is_said_once_without_a_traceback(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    came = []
    with pytest.raises(RunError, match="1 of 4 stores couldn't be read: us"):
        side_by_side().each(lambda run: (fails("us", error)(run), came.append(run.shop)))
    assert sorted(came) == ["br", "eu", "jp"]
    assert [(one.getMessage(), one.exc_info) for one in caplog.records] == [(f"us: {error}", None)]


def test_what_nobody_foresaw_leaves_the_others_be_and_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RunError, match="1 of 4 stores"):
        side_by_side().each(fails("us", KeyError("updated_at")))
    (said,) = caplog.records
    assert said.exc_info


def test_a_single_store_fails_with_its_own_error() -> None:
    with pytest.raises(KeyError):
        side_by_side(("eu",)).each(fails("eu", KeyError("updated_at")))


def test_after_a_signal_no_store_begins() -> None:
    stop, came = Stop(), []

    def act(run: Run) -> None:
        came.append(run.shop)
        stop.signal = signal.SIGTERM

    with pytest.raises(SystemExit) as ended:
        side_by_side(at_once=1, stop=stop).each(act)
    assert (ended.value.code, came) == (128 + signal.SIGTERM, ["eu"])


def test_a_store_that_reads_is_waited_for_after_a_signal_and_one_that_does_not_is_left() -> None:
    stop, ended, never = Stop(), [], threading.Event()

    def act(run: Run) -> None:
        if run.shop == "us":
            never.wait(60)
        run.reading = True
        stop.signal = signal.SIGINT
        ended.append(run.shop)

    with pytest.raises(SystemExit):
        side_by_side(("eu", "us"), stop=stop).each(act)
    assert ended == ["eu"]
    never.set()


@pytest.mark.parametrize("error", [BrokenPipeError(), UnwritableError("No room.")], ids=["nobody reads", "no room"])
def test_when_the_output_goes_nowhere_no_store_begins_any_more(error: Exception) -> None:
    came = []
    with pytest.raises(type(error)):
        side_by_side(at_once=1).each(lambda run: (came.append(run.shop), fails("eu", error)(run)))
    assert came == ["eu"]


def test_lines_for_the_sdks_developers_are_left_to_debug_of_several_stores_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    LOGGER.addFilter(is_wanted)
    try:
        side_by_side().each(lambda _: (LOGGER.info("METRIC: %s", "{}"), LOGGER.info("Read it.")))
    finally:
        LOGGER.removeFilter(is_wanted)
    assert sorted(one.getMessage() for one in caplog.records) == sorted(f"{shop}: Read it." for shop in SHOPS)
