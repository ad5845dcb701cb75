"""Stores side by side: threads that keep out of each other's way."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tap_shopify_orders.once import once
from tap_shopify_orders.run import SideBySide, Stop
from tap_shopify_orders.shopify.answers import Busy, Refused
from tests.waiting import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

SHOPS = ("eu", "us", "jp", "br")
LOGGER = logging.getLogger("tap-shopify-orders")


class Tap:
    """A tap of one store that does what it is told."""

    def __init__(self, shop: str) -> None:
        self.shop, self.reading = shop, False


def side_by_side(shops: tuple[str, ...] = SHOPS, *, at_once: int = 2, stop: Stop | None = None) -> SideBySide:
    return SideBySide(shops, Tap, at_once=at_once, stop=stop or Stop(), logger=LOGGER)


def fails(shop: str, error: BaseException) -> Callable[[Tap], None]:
    def act(tap: Tap) -> None:
        if tap.shop == shop:
            raise error

    return act


def test_each_store_has_its_turn_in_a_thread_of_its_name() -> None:
    came = []
    side_by_side(at_once=1).each(lambda tap: came.append((tap.shop, threading.current_thread().name)))
    assert came == [(shop, shop) for shop in SHOPS]


@pytest.mark.parametrize("error", [Refused("It is closed."), Busy("It is busy.")])
def test_a_known_reason_is_said_once_without_a_traceback(caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    came = []
    with pytest.raises(Refused, match="1 of 4 stores couldn't be read: us"):
        side_by_side().each(lambda tap: (fails("us", error)(tap), came.append(tap.shop)))
    assert sorted(came) == ["br", "eu", "jp"]
    assert [(one.getMessage(), one.exc_info) for one in caplog.records] == [(f"us: {error}", None)]


def test_what_nobody_foresaw_leaves_the_others_be_and_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(Refused, match="1 of 4 stores"):
        side_by_side().each(fails("us", KeyError("updated_at")))
    (said,) = caplog.records
    assert said.exc_info


def test_a_single_store_fails_with_its_own_error() -> None:
    with pytest.raises(KeyError):
        side_by_side(("eu",)).each(fails("eu", KeyError("updated_at")))


def test_after_a_signal_no_store_begins() -> None:
    stop, came = Stop(), []

    def act(tap: Tap) -> None:
        came.append(tap.shop)
        stop.signal = signal.SIGTERM

    with pytest.raises(SystemExit) as ended:
        side_by_side(at_once=1, stop=stop).each(act)
    assert (ended.value.code, came) == (128 + signal.SIGTERM, ["eu"])


def test_a_store_that_reads_is_waited_for_after_a_signal_and_one_that_does_not_is_left() -> None:
    stop, ended, never = Stop(), [], threading.Event()

    def act(tap: Tap) -> None:
        if tap.shop == "us":
            never.wait(60)
        tap.reading = True
        stop.signal = signal.SIGINT
        ended.append(tap.shop)

    with pytest.raises(SystemExit):
        side_by_side(("eu", "us"), stop=stop).each(act)
    assert ended == ["eu"]
    never.set()


def test_when_nobody_reads_the_output_no_store_begins_any_more() -> None:
    came = []
    with pytest.raises(BrokenPipeError):
        side_by_side(at_once=1).each(lambda tap: (came.append(tap.shop), fails("eu", BrokenPipeError())(tap)))
    assert came == ["eu"]


def test_two_objects_find_out_at_the_same_time_and_each_once() -> None:
    meeting = threading.Barrier(2)

    class Slow:
        """Finds out only together with another one."""

        @once
        def granted(self) -> int:
            """Wait for the other."""
            return meeting.wait(LONGEST_WAIT_SECONDS)

    pair = (Slow(), Slow())
    threads = [threading.Thread(target=lambda one=one: one.granted) for one in pair]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.granted for one in pair) == [0, 1]
    assert Slow.granted.__doc__ == "Wait for the other."
