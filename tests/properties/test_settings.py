"""Settings of any kind give a sentence or are right; a store's name never leads to another host."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from hypothesis import example, given
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigValidationError

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.settings import admin_url_of, handle_of
from tap_shopify_orders.tap import TapShopifyOrders
from target_posthog.errors import RunError as TargetsRunError
from target_posthog.settings import SETTINGS as TARGETS
from target_posthog.singer.target import TargetPostHog
from tests.properties.values import TEXTS, VALUES, spoilt

TAPS = TapShopifyOrders.config_jsonschema["properties"]
NAMES = (
    "my-store",
    "my-store.myshopify.com",
    "https://my-store.myshopify.com/",
    "https://admin.shopify.com/store/my-store",
)
RULES = {
    "sales": [{"event": "Sale", "distinct_id": "email", "timestamp": "at", "key": ["id"], "properties": {"a": "b"}}]
}
ENTRY = {
    "store": "acme-eu",
    "access_token_env": "PATH",  # is set everywhere, and isn't for a list to name
    "start_date": "2026-01-01",
    "accept": ["partial_history"],
    "admin_url": "https://acme-eu.example/admin",
}
MAPS = {"t": {"a": "b", "__key_properties__": ["id"], "__alias__": "u"}, "public": {"t": {"a": None}}, "__else__": None}
STORES = st.one_of(
    TEXTS,
    st.sampled_from(NAMES),
    st.builds("{}{}{}".format, TEXTS, st.sampled_from(NAMES), TEXTS),
    st.builds("{}@{}".format, st.sampled_from(NAMES), st.sampled_from(["evil.example", "my-store"])),
    st.builds(
        "https://{}{}".format, st.sampled_from(["evil.example/", "evil.example#", "a:b@"]), st.sampled_from(NAMES)
    ),
)


@given(STORES)
def test_a_stores_name_leads_to_shopify_or_nowhere(store: str) -> None:
    try:
        handle, url = handle_of(store), admin_url_of(store, None)
    except RunError as refused:
        assert "`store`" in str(refused)
        return
    place = urlsplit(url)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", handle)
    assert (place.scheme, place.netloc, place.path) == ("https", f"{handle}.myshopify.com", "/admin")


@given(STORES | TEXTS.map("http://{}".format) | TEXTS.map("https://{}".format))
def test_another_address_is_safe_or_refused(url: str) -> None:
    try:
        found = admin_url_of("my-store", url)
    except RunError as refused:
        assert "`admin_url`" in str(refused)
        return
    place = urlsplit(found)
    assert place.scheme == "https" or place.hostname in {"127.0.0.1", "::1", "localhost"}


def configs(names: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(sorted(names)) | TEXTS, VALUES, max_size=4)


@given(configs(TAPS))
@example({"start_date": "0001-01-01T00:00:00+14:00"})
@example({"admin_url": "http://[none]"})
@example({"store": "http://[none]"})
@example({"store": ["my-store"]})
@example({"access_token": ["shpat_secret"]})
def test_any_settings_of_the_tap_are_right_or_give_sentences(config: dict[str, Any]) -> None:
    try:
        TapShopifyOrders(config={"store": "my-store", "access_token": "shpat_secret", **config}, parse_env_config=False)
    except (ConfigValidationError, RunError) as wrong:
        told(wrong)


@given(spoilt({"stores": [ENTRY, {**ENTRY, "store": "acme-us"}], "stores_at_once": 2}))
def test_any_list_of_stores_is_right_or_gives_sentences(config: dict[str, Any]) -> None:
    try:
        TapShopifyOrders(config=config, parse_env_config=False)
    except (ConfigValidationError, RunError) as wrong:
        told(wrong)


@given(configs(TARGETS["properties"]) | spoilt({"mappings": RULES}) | spoilt({"stream_maps": MAPS}))
def test_any_settings_of_the_target_are_right_or_give_sentences(config: dict[str, Any]) -> None:
    try:
        TargetPostHog(config={"api_key": "phc_secret", **config}, parse_env_config=False)
    except (ConfigValidationError, TargetsRunError) as wrong:
        told(wrong)


def told(wrong: Exception) -> None:
    sentences = wrong.errors if isinstance(wrong, ConfigValidationError) else [str(wrong)]
    assert sentences
    assert all(sentences)
    assert not [one for one in sentences if "shpat_secret" in one or "phc_secret" in one]
