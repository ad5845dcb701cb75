"""The page in a real browser: a person looks at what the pair brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_core_python.selenium import Axe
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.waiting import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver import Chrome

    from sandbox.posthog import PostHog
    from sandbox.posthog.preview import Preview

WIDE, NARROW = 1280, 390  # pixels: a laptop's window, a telephone
TOO_WIDE = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUSED = "const one = document.activeElement; return one.innerText || one.value || one.id"
# Words, not ids, code or what a reader knows as one string, that stand on two lines without a hyphen.
BROKEN = """
const found = [], walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT)
while (walker.nextNode()) {
  const node = walker.currentNode
  if (node.parentElement.closest("option, svg, thead, .unseen, .id, .ids, .properties, code, dl.inner")) continue
  for (const word of node.data.matchAll(/[\\p{L}\\d]+/gu)) {
    const range = document.createRange()
    range.setStart(node, word.index)
    range.setEnd(node, word.index + word[0].length)
    if (new Set([...range.getClientRects()].map(one => Math.round(one.top))).size > 1) found.push(word[0])
  }
}
return found
"""
RULES = {
    "light": {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"], "resultTypes": ["violations"]},
    "dark": {
        "runOnly": ["color-contrast"],
        "resultTypes": ["violations"],
    },  # what else there is doesn't change at night
}


@pytest.fixture
def browser(chromium: Chrome, filled: PostHog) -> Iterator[Chrome]:
    """A wide, light browser at the overview; nothing may have been complained of when the test ends."""
    look(chromium, WIDE, "light")
    chromium.get(filled.url)
    chromium.get_log("browser")
    yield chromium
    assert chromium.get_log("browser") == []


def look(browser: Chrome, width: int, scheme: str) -> None:
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    preference = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", preference)


def follow(browser: Chrome, act: Callable[[], object]) -> None:
    """Do what opens another page, and wait until it stands."""
    browser.execute_script("window.left = true")
    act()
    # Between two pages the driver has errors of its own for any question; none of them says how the page is.
    WebDriverWait(browser, LONGEST_WAIT_SECONDS, ignored_exceptions=[WebDriverException]).until(
        lambda _: browser.execute_script("return !window.left && document.readyState === 'complete'")
    )


def text_of(browser: Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "main").text


def refunded(posthog: PostHog) -> dict[str, Any]:
    return max((one for one in posthog.events() if one["event"] == "Order Refunded"), key=lambda one: one["timestamp"])


def pages(posthog: PostHog) -> list[str]:
    refund = refunded(posthog)
    return [
        *("/", "/events?name=Order+Refunded", "/persons", "/search?q=a", "/warnings"),
        f"/events/{refund['uuid']}",
        f"/persons/{refund['person_id']}",
        f"/orders/{refund['properties']['order_id']}",
    ]


def test_a_person_finds_a_customer_follows_the_order_and_sees_the_refund(browser: Chrome, filled: PostHog) -> None:
    assert browser.find_element(By.TAG_NAME, "h1").text == "Overview"
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure svg .bar .rect")) > 10
    refund = refunded(filled)

    search = browser.find_element(By.ID, "q")
    follow(browser, lambda: search.send_keys(refund["distinct_id"], Keys.ENTER))
    assert "/persons/" in browser.current_url
    assert refund["distinct_id"] in text_of(browser)

    follow(browser, browser.find_element(By.LINK_TEXT, refund["properties"]["order_name"]).click)
    assert browser.find_element(By.TAG_NAME, "h1").text == f"Order {refund['properties']['order_name']}"
    said = text_of(browser)
    assert said.index("Order Completed") < said.index("Order Refunded")
    assert "✓ When it was placed" in said
    assert "✓ After all changes" in said
    assert "✗" not in said

    follow(browser, browser.find_element(By.LINK_TEXT, "Order Refunded").click)
    assert f"refund_id {refund['properties']['refund_id']}" in text_of(browser)


def test_a_bar_leads_to_what_it_stands_for(browser: Chrome) -> None:
    follow(browser, browser.find_element(By.CSS_SELECTOR, "figure svg .bar a").click)
    assert "from=" in browser.current_url
    assert browser.find_element(By.TAG_NAME, "h1").text in {"Overview", "Events"}


def test_events_are_filtered_by_a_form(browser: Chrome, filled: PostHog) -> None:
    follow(browser, browser.find_element(By.LINK_TEXT, "Events").click)
    browser.find_element(By.XPATH, "//option[.='Order Refunded']").click()
    browser.find_element(By.ID, "who").send_keys(refunded(filled)["distinct_id"])
    follow(browser, browser.find_element(By.CSS_SELECTOR, ".filters button").click)
    names = {one.text for one in browser.find_elements(By.CSS_SELECTOR, "td.what a")}
    assert names == {"Order Refunded"}
    assert browser.find_element(By.CSS_SELECTOR, "nav [aria-current=page]").text == "Events"


def test_the_keyboard_reaches_everything_in_order_and_skips_to_the_content(browser: Chrome) -> None:
    def press(key: str) -> None:
        # A key goes to what has the focus, whether it can be seen or not; sent to an element, some drivers refuse it.
        ActionChains(browser).send_keys(key).perform()

    def tab() -> str:
        press(Keys.TAB)
        return browser.execute_script(FOCUSED)

    assert tab() == "Skip to the content"
    assert browser.switch_to.active_element.rect["y"] >= 0
    assert [tab() for _ in range(7)] == [
        *("What PostHog holds", "Overview", "Events", "Persons", "Warnings"),
        *("q", "Find"),
    ]
    browser.refresh()
    assert tab() == "Skip to the content"
    press(Keys.ENTER)
    press(Keys.TAB)
    assert browser.execute_script("return document.activeElement.closest('main') !== null")
    outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def addresses(site: str, filled: PostHog, previewed: Preview) -> list[str]:
    """Each kind of page, of what has arrived or of a preview."""
    if site == "arrived":
        return [f"{filled.url}{path}" for path in pages(filled)]
    refund = refunded(filled)
    record = previewed.file.record_of_event(refund["uuid"])
    assert record is not None
    (left_out, *_) = previewed.file.records("", "test orders", undeliverable=False, eventless=False, after=0)
    own = ["/records", "/records?left_out=test+orders", f"/records/{left_out.number}", "/records/1"]
    paths = [*pages(filled), *own, f"/records/{record.number}", f"/records/{record.number}?masked=1"]
    return [f"{previewed.url}{path}" for path in paths]


@pytest.mark.parametrize("site", ["arrived", "preview"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_too_wide_complains_or_shuts_anybody_out(
    browser: Chrome, filled: PostHog, previewed: Preview, scheme: str, site: str
) -> None:
    backgrounds = set()
    for path in addresses(site, filled, previewed):
        for width in (WIDE, NARROW):
            look(browser, width, scheme)
            browser.get(path)
            for details in browser.find_elements(By.TAG_NAME, "details"):
                browser.execute_script("arguments[0].open = true", details)
            assert browser.execute_script(TOO_WIDE) == 0, (path, width)
            if (width, scheme) == (NARROW, "light"):
                assert browser.execute_script(BROKEN) == [], path
            backgrounds.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
        violations = Axe().run(browser, options=RULES[scheme])["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == [], path
    assert backgrounds == {"rgb(247, 247, 245)" if scheme == "light" else "rgb(20, 22, 27)"}


@pytest.mark.parametrize("site", ["arrived", "preview"])
def test_the_page_asks_nobody_else(browser: Chrome, filled: PostHog, previewed: Preview, site: str) -> None:
    own = filled.url if site == "arrived" else previewed.url
    for path in addresses(site, filled, previewed):
        browser.get(path)
        asked = browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
        assert asked
        assert all(one.startswith(own) for one in asked)


def test_a_person_looks_at_a_plan_and_finds_why_an_order_is_left_out(browser: Chrome, previewed: Preview) -> None:
    browser.get(previewed.url)
    assert browser.find_element(By.TAG_NAME, "h1").text == "What a run would send"
    assert len(browser.find_elements(By.CSS_SELECTOR, "figure svg .bar .rect")) > 10
    follow(browser, browser.find_element(By.PARTIAL_LINK_TEXT, "Left out: test orders").click)
    follow(browser, browser.find_element(By.CSS_SELECTOR, "tbody th a").click)
    said = text_of(browser)
    assert "It is left out: test orders. Nothing of it is sent." in said
    assert "✓ test orders" in said
    assert "When test is true" in said


def test_a_person_sees_why_a_refund_became_an_event_and_hides_who_it_was(
    browser: Chrome, filled: PostHog, previewed: Preview
) -> None:
    refund = refunded(filled)
    browser.get(f"{previewed.url}/orders/{refund['properties']['order_id']}")
    assert "✓ After all changes" in text_of(browser)
    follow(browser, browser.find_element(By.LINK_TEXT, "The record and its rules").click)
    assert "✓ Order Refunded" in text_of(browser)
    assert refund["distinct_id"] in text_of(browser)
    follow(browser, browser.find_element(By.LINK_TEXT, "Hide personal data").click)
    assert refund["uuid"] in text_of(browser)
    assert refund["distinct_id"] not in browser.page_source
