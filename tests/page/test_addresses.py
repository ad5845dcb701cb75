"""The page over HTTP: what each address answers, without a browser."""

from __future__ import annotations

import html
import re
import uuid
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import requests

from sandbox.posthog import PostHog
from sandbox.posthog.pages.periods import periods
from tests.posthog_events import event, order, send

if TYPE_CHECKING:
    from sandbox.shop import Shop

MINUS = "\N{MINUS SIGN}"
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}/../?a=b#c"


def get(posthog: PostHog, path: str, **asked: str) -> requests.Response:
    return requests.get(f"{posthog.url}{path}", params=asked, timeout=30)


def page(posthog: PostHog, path: str, **asked: str) -> str:
    answer = get(posthog, path, **asked)
    assert answer.status_code == 200, answer.text
    return answer.text


def listed(text: str) -> list[int]:
    """The numbers of the events in a list, in its order."""
    return [uuid.UUID(one).int for one in re.findall(r'class="what"><a href="/events/([0-9a-f-]+)"', text)]


def link(text: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', text)
    return html.unescape(found[1]) if found else ""


def words(text: str) -> str:
    """What a person reads."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def every_page(posthog: PostHog) -> list[str]:
    return [
        *("/", "/events", "/persons", "/warnings", "/search", "/search?q=x", "/events/nowhere", "/events?from=never"),
        *(f"/events/{one['uuid']}" for one in posthog.events()),
        *(f"/persons/{one['uuid']}" for one in posthog.persons()),
        *("/orders/1", "/page/style.css", "/page/icon.svg"),
    ]


def test_no_page_runs_scripts_stays_in_a_cache_or_calls_elsewhere(posthog: PostHog) -> None:
    send(posthog, order(1, "Order Completed", "1", total=3), event(2, **{"$set": {"email": "ada@x.io"}}))
    for path in every_page(posthog):
        answer = get(posthog, path)
        assert answer.headers["Cache-Control"] == "no-store", path
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'; "), path
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=|javascript:", answer.text), path
        assert not re.search(r"""(src|href|action)=["']?(https?:)?//""", answer.text), path


def test_an_empty_posthog_says_so(posthog: PostHog) -> None:
    assert "Nothing has arrived yet" in words(page(posthog, "/"))
    assert "No event passes these filters" in words(page(posthog, "/events"))
    assert "PostHog has made no person yet" in words(page(posthog, "/persons"))
    assert "There are none" in words(page(posthog, "/warnings"))


def test_hostile_text_is_shown_as_text(posthog: PostHog) -> None:
    nested = {HOSTILE: [{HOSTILE: HOSTILE}, [HOSTILE]], "table": [{HOSTILE: HOSTILE}]}
    money = {"currency": HOSTILE, "total": 1, "revenue": 1, "order_id": HOSTILE, "order_name": HOSTILE}
    person = {"$set": {"email": HOSTILE, "name": HOSTILE}}
    send(posthog, event(1, HOSTILE, HOSTILE, **nested, **money, **person))
    send(posthog, event(2, "Order Completed", HOSTILE, **money), event(3, "$create_alias", HOSTILE, alias="none"))
    for path in every_page(posthog):
        text = get(posthog, path).text
        assert "<script" not in text, path
        assert "'&amp;49" not in html.unescape(text).replace("&", "&amp;"), path
    assert page(posthog, "/events").count(html.escape(HOSTILE, quote=False).split('"')[0]) >= 3
    for where, expected in ((f"/orders/{requests.utils.quote(HOSTILE, safe='')}", [1, 2]), ("/events", [3, 2, 1])):
        assert listed(page(posthog, where)) == expected
    assert listed(page(posthog, "/events", who=HOSTILE, name=HOSTILE, text=HOSTILE)) == [1]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"name": "Order Completed"}, [3, 2]),
        ({"who": "ada@x.io"}, [3, 1]),
        ({"who": " ADA@x.io "}, [3, 1]),
        ({"who": "shopify:customer:1"}, [3, 1]),
        ({"who": "nobody"}, []),
        ({"from": "2026-11-03"}, [5, 4, 3]),
        ({"to": "2026-11-03"}, [3, 2, 1]),
        ({"from": "2026-11-02", "to": "2026-11-03"}, [3, 2]),
        ({"from": "2026-11-03", "to": "2026-11-02"}, []),
        ({"text": "änglar"}, []),
        ({"text": "Änglar"}, [2]),
        ({"text": "CD-0_%"}, [2]),
        ({"text": "D-0"}, [3, 2]),
        ({"text": "d-0", "who": "ada@x.io"}, [3]),
    ],
    ids=str,
)
def test_filters_let_pass_what_they_say(posthog: PostHog, asked: dict[str, str], expected: list[int]) -> None:
    send(
        posthog,
        event(1, "$identify", "ada@x.io", "2026-11-01T00:00:00Z", **{"$anon_distinct_id": "shopify:customer:1"}),
        event(2, "Order Completed", "eve@x.io", "2026-11-02T00:00:00Z", sku="CD-0_%", title="Änglar"),
        event(3, "Order Completed", "shopify:customer:1", "2026-11-03T23:59:59.999Z", sku="CD-01"),
        event(4, "seen", "eve@x.io", "2026-11-04T00:00:00Z"),
        event(5, "seen", "eve@x.io", "2026-11-05T00:00:00Z"),
    )
    text = page(posthog, "/events", **asked)
    assert listed(text) == expected
    assert not expected or f"{len(expected)} event" in words(text)


def test_pages_show_each_event_once_in_the_order_of_time_and_lead_back(posthog: PostHog) -> None:
    send(posthog, *(event(n, "odd" if n % 2 else "even", at=f"2026-11-01T10:00:{n // 8:02}Z") for n in range(1, 240)))
    expected = list(range(239, 0, -2))
    text, seen, firsts = page(posthog, "/events", name="odd"), [], []
    while True:
        seen += listed(text)
        firsts.append(listed(text)[0])
        if not link(text, "next"):
            break
        text = page(posthog, link(text, "next"))
    assert seen == expected
    assert len(firsts) == 3
    while link(text, "prev"):
        assert listed(text)[0] == firsts.pop()
        text = page(posthog, link(text, "prev"))
    assert listed(text)[0] == firsts.pop() == expected[0]


def test_persons_are_listed_once_each_over_pages(posthog: PostHog) -> None:
    send(posthog, *(event(n, distinct_id=f"{n}@x.io") for n in range(1, 121)))
    text, seen = page(posthog, "/persons"), []
    while True:
        seen += re.findall(r'scope="row"><a href="/persons/[0-9a-f-]+">([^<]+)', text)
        if not link(text, "next"):
            break
        text = page(posthog, link(text, "next"))
    assert sorted(seen) == sorted(f"{n}@x.io" for n in range(1, 121))


def test_the_overviews_table_sums_to_the_totals(posthog: PostHog) -> None:
    days = ["2025-01-31T23:59:59Z", "2026-02-28T00:00:00Z", "2026-11-22T12:00:00Z"]
    for n, day in enumerate(days, 1):
        send(posthog, event(n, "Order Completed", at=day, revenue="0.10", currency="USD"))
        send(posthog, event(10 + n, "Order Completed", at=day, revenue=1.005, currency="KWD"))
        send(posthog, event(20 + n, "Order Refunded", at=day, net_sales=-0.05, currency="USD"))
    for unit in ("day", "week", "month", "year"):
        for currency, digits in (("USD", 2), ("KWD", 3)):
            text = page(posthog, "/", per=unit, currency=currency, **{"from": "2026-01-01" if unit == "day" else ""})
            table = text[text.index("<details>") : text.index("</details>")]
            rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", table)
            cells = [re.findall(r'<td class="number">([^<]+)', row) for row in rows]
            sums = [
                sum(Decimal(row[place].replace(",", "").replace(MINUS, "-")) for row in cells) for place in range(3)
            ]
            shown = 2 if unit == "day" else 3
            net = round(shown * Decimal("0.05" if currency == "USD" else "1.005"), digits)
            assert sums == [net, 0, 2 * shown], (unit, currency)
            assert len({words(row.split("</a>")[0]) for row in rows}) == len(rows)
            assert f"in {currency} and orders per {unit}" in table
    assert posthog.totals()["net_sales"] == {"KWD": Decimal("3.015"), "USD": Decimal("0.15")}
    assert "Net sales 3.015 KWD 0.15 USD after discounts, edits, returns and refunds Total sales 0" in words(
        page(posthog, "/")
    )


def test_the_overview_follows_what_arrives(posthog: PostHog) -> None:
    send(posthog, order(1, "Order Completed", "1", revenue=3))
    assert "Net sales 3.00 USD after discounts, edits, returns and refunds Total sales 0 " in words(page(posthog, "/"))
    again = order(1, "Order Completed", "1", revenue=4)
    send(posthog, again, event(3, distinct_id="x"), event(3, distinct_id="x", at="2026-11-02T00:00:00Z"))
    said = words(page(posthog, "/"))
    figures = (
        "Events 4 ",
        "Persons 2 ",
        "Net sales 7.00 USD",
        "Received 4 1 sent again",
        "Copies 1 ",
        "Counted twice 1 ",
    )
    assert [one for one in figures if one not in said] == []
    assert "✗ 1 event counts twice until PostHog merges copies." in said
    assert "✗ 1 event counts twice for good: same uuid, other name, id or day." in said
    posthog.merge()
    said = words(page(posthog, "/"))
    assert "until PostHog merges copies." not in said
    figures = (
        "Events 3 ",
        "Persons 2 ",
        "Net sales 4.00 USD",
        "Received 4 1 sent again",
        "Copies 0 ",
        "Counted twice 1 ",
    )
    assert [one for one in figures if one not in said] == []


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/events/nowhere", 404, "There is no event nowhere."),
        ("/persons/nobody", 404, "There is no person nobody."),
        ("/orders/1001", 404, "No event names an order 1001."),
        ("/events?from=yesterday", 400, "yesterday"),
        ("/events?before=here", 400, "That can't be shown"),
        ("/persons?before=here", 400, "That can't be shown"),
        ("/orders/" + "9" * 40, 404, "No event names an order"),
    ],
)
def test_a_wrong_address_gets_a_sentence(posthog: PostHog, path: str, status: int, sentence: str) -> None:
    answer = get(posthog, path)
    assert answer.status_code == status
    assert sentence in words(answer.text)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("ada@x.io", "/persons/"),
        ("ADA@X.IO", "/persons/"),
        ("shopify:customer:1", "/persons/"),
        ("Ada Lovelace", "/persons/"),
        ("lovelace", "/persons/"),
        ("Zoë", "/persons/"),
        ("#1001", "/orders/77"),
        ("1001", "/orders/77"),
        ("77", "/orders/77"),
        ("2001", "/orders/2001"),
        (str(uuid.UUID(int=1)), f"/events/{uuid.UUID(int=1)}"),
        ("@x.io", ""),
        ("nobody", ""),
        ("%", ""),
    ],
)
def test_the_search_leads_to_the_one_it_finds(posthog: PostHog, wanted: str, found: str) -> None:
    link_ids = {"$anon_distinct_id": "shopify:customer:1"}
    send(
        posthog,
        event(1, "$identify", "ada@x.io", **link_ids, **{"$set": {"email": "ada@x.io", "name": "Ada Lovelace"}}),
        event(
            2, "$identify", "zoe@x.io", **{"$set": {"email": "zoe@x.io", "first_name": "Zoë", "last_name": "O'Hara"}}
        ),
        event(3, "Order Completed", order_id="77", order_name="#1001"),
        event(4, "Created Shopify Order", order_number=2001),
    )
    answer = requests.get(f"{posthog.url}/search", params={"q": wanted}, timeout=30, allow_redirects=False)
    assert (answer.status_code, answer.headers.get("Location", "").startswith(found)) == (302 if found else 200, True)
    if found:
        assert get(posthog, answer.headers["Location"]).status_code == 200


def test_an_orders_page_tells_it_in_the_order_of_time_and_sums_its_sales(posthog: PostHog) -> None:
    sold = {"gross_sales": 10, "discounts": -1, "net_sales": 9, "taxes": 0.9, "total_sales": 9.9, "tips": 2}
    back = {"returns": -1.5, "net_sales": -1.5, "taxes": -0.15, "total_sales": -1.65}
    about = {"order_id": "1", "order_name": "#1", "currency": "USD"}
    send(
        posthog,
        event(5, "Order Cancelled", at="2026-11-05T00:00:00Z", **about),
        event(4, "Order Refunded", at="2026-11-04T00:00:00Z", **about, **back, total=1.65),
        event(3, "Order Fulfilled", at="2026-11-03T00:00:00Z", **about),
        order(1, "Order Completed", "1", revenue=9, **sold),
        order(2, "Order Paid", "1", total=11.9),
        order(9, "Order Completed", "11", net_sales=99),
    )
    text = page(posthog, "/orders/1")
    assert listed(text) == [1, 2, 3, 4, 5]
    said = words(text)
    assert (
        f"Gross sales 10.00 USD Discounts {MINUS}1.00 USD Returns (sales reversals) {MINUS}1.50 USD Taxes 0.75 USD "
        "Tips 2.00 USD Net sales 7.50 USD Total sales 8.25 USD" in said
    )
    assert "Order Completed 9.00 USD" in said
    assert "Order Paid 11.90 USD" in said
    assert f"Order Refunded {MINUS}1.50 USD" in said
    assert "In all 7.50 USD 11.90 USD" in said
    assert "shop's side" not in said


def test_the_answer_and_the_problems_stand_on_top(posthog: PostHog) -> None:
    send(posthog, order(1, "Order Completed", "1", revenue=3_000, net_sales=3_000))
    said = words(page(posthog, "/"))
    answer = said.index("1 event of 1 person")
    assert "net sales 3,000.00 USD" in said[answer:]
    assert answer < said.index("✓ There are none: no event counts twice, and nobody warns of anything.")
    assert said.index("✓ There are none") < said.index("Figures")
    send(posthog, event(2, "$create_alias", alias="none"))
    said = words(page(posthog, "/"))
    assert "✗ 1 warning of PostHog's ingestion." in said
    assert "There are none" not in said
    assert "1 warning" in words(page(posthog, "/warnings")).split("Find")[1]


def test_days_and_times_are_those_of_the_projects_zone() -> None:
    with PostHog(time_zone="America/New_York").serve() as posthog:
        send(posthog, order(1, "Order Completed", "1", at="2026-11-02T03:00:00Z", revenue=3))
        said = words(page(posthog, "/"))
        assert "from 1 Nov 2026 to 1 Nov 2026" in said
        assert "Days are those of America/New_York." in said
        assert "2026-11-01 22:00:00" in words(page(posthog, "/events", to="2026-11-01"))
        assert "All times and days are those of America/New_York" in said


@pytest.mark.parametrize(
    ("unit", "last", "labels", "unfinished"),
    [
        ("day", "2015-11-04", ["2 Nov 2015", "3 Nov 2015", "4 Nov 2015"], []),
        ("week", "2015-11-11", ["2 Nov 2015", "9 Nov 2015"], ["9 Nov 2015"]),
        ("week", "2015-11-15", ["2 Nov 2015", "9 Nov 2015"], []),
        ("month", "2015-12-01", ["Nov 2015", "Dec 2015"], ["Dec 2015"]),
        ("year", "2016-01-01", ["2015", "2016"], ["2016"]),
    ],
)
def test_a_period_that_ends_later_is_marked_as_unfinished(
    posthog: PostHog, unit: str, last: str, labels: list[str], unfinished: list[str]
) -> None:
    send(posthog, order(1, "Order Completed", "1", at="2015-11-02T03:00:00Z", revenue=3))
    text = page(posthog, "/", per=unit, **{"from": "2015-11-02", "to": last})
    table = text[text.index("<details>") : text.index("</details>")]
    assert re.findall(r'<th scope="row"><a [^>]+>([^<]+)', table) == labels
    assert re.findall(r'([^>]+)</a> <span class="tag">unfinished', table) == unfinished
    chart = text[text.index("<figure>") : text.index("</figure>")]
    assert [one for one in labels if f"{one}, unfinished: as placed" in chart] == unfinished
    assert ('class="unfinished"' in chart) == bool(unfinished)
    assert "3 USD" in words(chart)


def test_the_day_that_is_today_is_unfinished() -> None:
    first, last = date(2026, 11, 2), date(2026, 11, 4)
    for unit, today, expected in (("day", last, [4]), ("day", date(2026, 11, 5), []), ("week", date(2026, 11, 8), [2])):
        assert [one.first.day for one in periods(first, last, unit, today) if one.unfinished] == expected, (unit, today)


def test_of_one_moment_an_order_is_paid_before_it_is_paid_back(posthog: PostHog) -> None:
    at = {"at": "2026-11-04T00:00:00Z"}
    send(posthog, order(1, "back", "1", **at, net_sales=-9), order(2, "repaid", "1", **at, cash=-9))
    send(posthog, order(3, "sold", "1", **at, revenue=9), order(4, "paid", "1", **at, cash=9))
    assert listed(page(posthog, "/orders/1")) == [3, 4, 1, 2]


def test_values_stand_on_bars_that_are_few(posthog: PostHog) -> None:
    send(posthog, order(1, "Order Completed", "1", at="2026-11-02T03:00:00Z", revenue=1234))
    for until, shown in (("2026-11-04", True), ("2026-12-31", False)):
        text = page(posthog, "/", per="day", **{"from": "2026-11-02", "to": until})
        chart = text[text.index("<figure>") : text.index("</figure>")]
        assert bool(re.search(r'<text[^>]*class="value"[^>]*>1,234<', chart)) == shown


def test_a_persons_name_stands_beside_the_id(posthog: PostHog) -> None:
    named = {"name": "Ada Lovelace", "email": "ada@x.io"}
    send(posthog, order(1, "Order Completed", "1", net_sales=1), event(2, "seen", "ada@x.io", **{"$set": named}))
    send(posthog, event(3, "seen", "nobody-7", **{"$process_person_profile": False}))
    said = words(page(posthog, "/events"))
    assert "Ada Lovelace ada@x.io" in said
    assert "nobody-7 of nobody" in said
    assert "of nobody: the event counts, but for no person" in said


def test_orders_of_two_stores_with_one_name_are_told_apart(posthog: PostHog) -> None:
    for n, shop in ((1, "one.example"), (2, "two.example")):
        send(posthog, event(n, "Order Completed", order_id=f"{n}00", order_name="#1001", affiliation=shop, total=n))
    said = words(page(posthog, "/orders/1001"))
    assert "#1001 one.example 100" in said
    assert "#1001 two.example 200" in said
    assert listed(page(posthog, "/orders/200")) == [2]


def test_an_event_that_posthog_counts_twice_shows_both(posthog: PostHog) -> None:
    send(posthog, event(1, at="2026-11-01T00:00:00Z"), event(1, at="2026-11-02T00:00:00Z"))
    said = words(page(posthog, f"/events/{uuid.UUID(int=1)}"))
    assert "2 events have this uuid" in said
    assert "2026-11-01 00:00:00" in said
    assert "2026-11-02 00:00:00" in said


def test_an_event_shows_its_numbers_and_that_there_are_copies(posthog: PostHog) -> None:
    one = event(1, big=2**53, exact=0.1, none=None, yes=True, lines=[{"sku": "a", "price": 1.5}])
    send(posthog, one)
    send(posthog, one)
    said = words(page(posthog, f"/events/{one['uuid']}"))
    for shown in ("big 9007199254740992", "exact 0.1", "none null", "yes true", "sku price a 1.5", "one of 2 copies"):
        assert shown in said
    assert "counts each copy until it merges them" in said
    posthog.merge()
    assert "cop" not in words(page(posthog, f"/events/{one['uuid']}"))


def test_a_persons_page_holds_the_events_of_all_ids(posthog: PostHog) -> None:
    send(
        posthog,
        event(1, "seen", "visitor"),
        event(
            2, "$identify", "ada@x.io", **{"$anon_distinct_id": "visitor", "$set": {"name": "Ada", "email": "ada@x.io"}}
        ),
        order(3, "Order Completed", "1", net_sales=10),
        order(4, "Order Refunded", "1", net_sales=-2.5),
        event(5, "Order Completed", "eve@x.io", total=99, currency="USD"),
    )
    (ada,) = [one for one in posthog.persons() if "ada@x.io" in one["distinct_ids"]]
    text = page(posthog, f"/persons/{ada['uuid']}")
    assert listed(text) == [4, 3, 2, 1]
    said = words(text)
    for shown in ("Ada", "The 2 ids", "visitor", "Net sales 7.50 USD"):
        assert shown in said


def test_warnings_lead_to_their_events(posthog: PostHog) -> None:
    send(posthog, event(1, "$create_alias", alias="none"))
    text = page(posthog, "/warnings")
    assert "cannot_merge_with_illegal_distinct_id 1" in words(text)
    assert f'href="/events/{uuid.UUID(int=1)}"' in text


def test_a_web_site_with_a_name_of_its_own_is_refused(posthog: PostHog) -> None:
    for path in ("/", "/api/persons"):
        answer = requests.get(f"{posthog.url}{path}", headers={"Host": "evil.example"}, timeout=30)
        assert answer.status_code == 400


@pytest.fixture
def order_in_shop(shop: Shop) -> dict[str, Any]:
    (one, *_) = [one for one in shop.store.orders if one["name"] == "#1005"]
    return one


def test_the_shop_stands_beside_the_events(shop: Shop, order_in_shop: dict[str, Any]) -> None:
    number = order_in_shop["id"].rsplit("/", 1)[1]
    money = order_in_shop["totalPriceSet"]["shopMoney"]
    with PostHog(shop_url=shop.url).serve() as posthog:
        sold = {"revenue": float(money["amount"]), "total_sales": float(money["amount"])}
        total = {"currency": money["currencyCode"], **sold, "order_name": "#1005"}
        send(posthog, event(1, "Order Completed", order_id=number, **total))
        send(posthog, event(2, "Order Completed", order_id="404"))
        assert "✓ When it was placed" in words(page(posthog, f"/orders/{number}"))
        shop.store.refund_order("#1005", "2026-11-01T00:00:00Z", amount="0.01")
        assert "✗ After all changes" in words(page(posthog, f"/orders/{number}"))
        assert "The shop has no order of this number" in words(page(posthog, "/orders/404"))
        shop.close()
        assert "The shop did not answer" in words(page(posthog, f"/orders/{number}"))


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30, "9" * 4_000])
@pytest.mark.parametrize(
    "path",
    [
        "/warnings?before={}",
        "/persons?before={}.x",
        "/events?before={}.1",
        "/events?after=1.{}",
        "/orders/{}",
        "/search?q={}",
        "/api/events?offset={}",
        "/api/persons?limit={}&offset={}",
    ],
)
def test_no_number_in_an_address_is_too_large_for_an_answer(posthog: PostHog, path: str, number: object) -> None:
    answer = requests.get(posthog.url + path.format(number, number), timeout=30)
    assert answer.status_code in (200, 400, 404)
