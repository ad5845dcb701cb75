"""What Shopify, or something in between, shouldn't answer and may: one file of `answers/` per case, as it is sent.

Each is met once, and again and again; before the first answer, and in the middle of a run.
"""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import stamina

from sandbox.controls import Reply
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify.answers import Busy

from .conftest import read

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWERS = Path(__file__).parent / "answers"
STORE = cdnow_store(date(2026, 10, 31), customers=3)
BEFORE = {"the first answer": 0, "a page": 5}
NO_JSON = "Shopify's answer isn't the JSON that it should be"
NO_FORM = "Shopify's answer isn't of the form that this API version promises"
SLOW = "Shopify asks to slow down"
NEW_IDEA = "Shopify refused the query: Shopify has a new idea"

# Asked again, and so without effect; what is said if it goes on.
PASSING = {
    "a_body_called_gzip": "Shopify's answer broke off",
    "a_byte_order_mark": NO_JSON,
    "a_gateway_s_page": "Shopify has a problem of its own (520)",
    "a_list": NO_JSON,
    "a_page_of_html": NO_JSON,
    "a_text": NO_JSON,
    "an_empty_body": NO_JSON,
    "an_error_beside_the_data": "Shopify has a problem of its own",
    "costs_that_are_texts": "costs",
    "costs_without_numbers": "costs",
    "errors_that_are_a_text": NO_JSON,
    "errors_that_are_an_object": NO_JSON,
    "extensions_that_are_null": NO_JSON,
    "half_a_body": NO_JSON,
    "nested_too_deeply": NO_JSON,
    "null": NO_JSON,
    "null_errors": NO_JSON,
    "retry_after_a_date": SLOW,
    "retry_after_less_than_nothing": SLOW,
    "retry_after_not_a_number": SLOW,
    "throttled_by_an_empty_bucket_that_never_fills": "Shopify throttles.",
    "throttled_with_a_cost_that_is_null": "Shopify throttles.",
    "throttled_without_a_cost": "Shopify throttles.",
    "two_bodies": NO_JSON,
}
# The end of the run, at once.
REFUSED = {
    "a_code_that_is_a_number": NEW_IDEA,
    "a_number_where_a_text_belongs": NO_FORM,
    "a_redirect_to_nowhere": "now lives at another address",
    "a_status_that_is_new": "answered with status 299",
    "a_teapot": "answered with status 418",
    "a_version_that_is_not_the_tap_s": "Shopify served API version 2027-01 instead of 2026-10",
    "an_empty_object": NO_FORM,
    "an_unknown_code": NEW_IDEA,
    "bytes_that_are_no_text": NO_FORM,
    "data_of_another_query": NO_FORM,
    "data_that_is_a_list": NO_FORM,
    "errors_without_a_message": "Shopify refused the query: it doesn't say why",
    "errors_without_extensions": "Shopify refused the query: Field 'x' doesn't exist on type 'Shop'",
    "no_content": "answered with status 204",
    "null_data": NO_FORM,
    "null_data_beside_an_error": "Shopify refused the query: Something went wrong",
    "null_where_there_is_always_something": NO_FORM,
}
# Right, as the answer to the first question; to another one it is an answer of no known form.
ODD = [
    "a_date_that_is_none",
    "a_plan_that_is_new",
    "an_empty_list_of_errors",
    "fields_that_nobody_asked_for",
    "json_called_html",
    "json_without_a_content_type",
    "white_space_around",
]


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(STORE).serve() as served:
        yield served


def answer(name: str) -> Reply:
    head, _, body = (ANSWERS / f"{name}.http").read_bytes().partition(b"\n\n")
    status, *headers = head.decode().splitlines()
    return Reply(
        status=int(status.split()[1]),
        headers=dict(line.split(": ", 1) for line in headers),
        body=body,  # type: ignore[arg-type]  # Flask takes bytes, too
        path="graphql.json",
    )


def meet(shop: Shop, name: str, times: int, before: int) -> set[str]:
    """Return the names of the orders that are read although an answer is odd, so many times."""
    shop.controls.reply_next(*[Reply()] * before, *[answer(name)] * times)
    return set(read(shop).orders)


def test_each_case_is_here() -> None:
    assert sorted(path.stem for path in ANSWERS.iterdir()) == sorted([*PASSING, *REFUSED, *ODD])


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_leaves_the_records_right_and_what_stays_gets_a_sentence(
    shop: Shop, name: str, before: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert meet(shop, name, 1, before) == {one["name"] for one in STORE.orders}
    with pytest.raises((Busy, RunError)) as raised:
        meet(shop, name, 20, before)
    assert PASSING[name] in str(raised.value)
    assert "jane" not in caplog.text + str(raised.value)


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_pass_gets_a_sentence(shop: Shop, name: str, before: int) -> None:
    with pytest.raises(RunError) as raised:
        meet(shop, name, 1, before)
    assert REFUSED[name] in str(raised.value)
    assert len(shop.controls.requests) <= before + 2, "it isn't asked again; the next page may be on its way"


@pytest.mark.parametrize("name", ODD)
def test_what_is_only_odd_is_taken(shop: Shop, name: str) -> None:
    assert meet(shop, name, 1, 0) == {one["name"] for one in STORE.orders}


@pytest.mark.parametrize("name", ODD)
def test_an_answer_to_another_question_gets_a_sentence(shop: Shop, name: str) -> None:
    for before in (1, 3, BEFORE["a page"]):  # a count, the trial of the search for customers
        with pytest.raises(RunError, match=NO_FORM):
            meet(shop, name, 1, before)
