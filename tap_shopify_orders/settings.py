"""What the user set, in: a config; out: its JSON schema, the address that it names, and a sentence for each mistake.

Pure: nothing is asked, and nothing known of streams.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th

from tap_shopify_orders.answers import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ACCEPTABLE = {
    "partial_history": "orders of the last 60 days only, for want of the scope read_all_orders",
    "denied_fields": "records without the fields that Shopify denies",
    "api_version": "answers in another API version than the tap was made for",
}

METHODS = {
    "auto": "bulk where pages would take longer than two minutes at the store's rate limit",
    "pages": "queries of many small pages, each paid for in points of the rate limit",
    "bulk": "bulk operations, which Shopify runs in its own time and which cost next to nothing",
}

_HANDLE = re.compile(r"[a-z0-9][a-z0-9-]*")
FORMS = "my-store, my-store.myshopify.com, https://my-store.myshopify.com or https://admin.shopify.com/store/my-store"


SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property(
        "store",
        th.StringType,
        required=True,
        title="Store",
        description=f"The store: {FORMS}.",
    ),
    th.Property(
        "access_token",
        th.StringType,
        secret=True,
        title="Admin API access token",
        description="Permanent token (shpat_...) of an app that was made in the Shopify admin.",
    ),
    th.Property(
        "client_id",
        th.StringType,
        title="Client id",
        description="Client id of a Dev Dashboard app, instead of an access token.",
    ),
    th.Property(
        "client_secret",
        th.StringType,
        secret=True,
        title="Client secret",
        description="Client secret of the Dev Dashboard app.",
    ),
    th.Property(
        "start_date",
        th.StringType,
        title="Start date",
        description="Read what changed since then: 2026-01-01 or 2026-01-01T12:00:00Z. All by default.",
    ),
    th.Property(
        "end_date",
        th.StringType,
        title="End date",
        description="Read what changed before then, for a backfill in parts; up to now by default.",
    ),
    th.Property(
        "lookback_seconds",
        th.IntegerType(minimum=0),
        default=3600,
        title="Lookback",
        description="How far before the bookmark a run begins, to catch what Shopify's search learns late; what"
        " hasn't changed isn't emitted again.",
    ),
    th.Property(
        "method",
        th.StringType(allowed_values=[*METHODS]),
        default="auto",
        title="Method",
        description="How history is read: "
        + "; ".join(f"{name} ({meaning})" for name, meaning in METHODS.items())
        + ".",
    ),
    th.Property(
        "accept",
        th.ArrayType(th.StringType(allowed_values=[*ACCEPTABLE])),
        default=[],
        title="Accepted gaps",
        description="Gaps that you know of and take: "
        + "; ".join(f"{name} ({meaning})" for name, meaning in ACCEPTABLE.items())
        + ".",
    ),
    th.Property(
        "admin_url",
        th.StringType,
        title="Admin URL",
        description="Root of the Admin API without /api; by default https://<store>.myshopify.com/admin.",
    ),
).to_dict()


def handle_of(store: str) -> str:
    """Return the store's handle, such as my-store; raises Refused for what is none, with the accepted forms."""
    typed = store.strip().lower()
    place = urlsplit(typed if "://" in typed else f"https://{typed}")
    host, steps = place.netloc, [step for step in place.path.split("/") if step]
    if host == "admin.shopify.com":
        handle = steps[1] if steps[:1] == ["store"] and len(steps) > 1 else ""
    else:
        handle = host.removesuffix(".myshopify.com")
    if not _HANDLE.fullmatch(handle):
        raise Refused(f"The setting `store` isn't a Shopify store: write it as {FORMS}.")
    return handle


def admin_url_of(store: str, admin_url: str | None) -> str:
    """Return the root of the Admin API: the one named, else Shopify's; raises Refused for one that'd leak the token."""
    handle = handle_of(store)
    if not admin_url:
        return f"https://{handle}.myshopify.com/admin"
    place = urlsplit(admin_url)
    if place.scheme == "https" or (place.scheme == "http" and place.hostname in ("127.0.0.1", "::1", "localhost")):
        return admin_url.rstrip("/")
    raise Refused("The setting `admin_url` has to begin with https://, or with http:// and an address of this machine.")


def instant(text: str) -> datetime:
    """Return a moment in UTC; a text without a zone is UTC. Raises ValueError for a text that is no time."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def mistakes(config: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each mistake that JSON schema can't tell; `known` are the names that are settings."""
    for name in set(config) - set(known):
        near = get_close_matches(name, known, n=1)
        meant = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(f'`{one}`' for one in known)}."
        yield f"There is no setting `{name}`: {meant}"
    given = {name for name, value in config.items() if value}
    if not ("access_token" in given or {"client_id", "client_secret"} <= given):
        yield "The credentials are missing: set `access_token`, or `client_id` and `client_secret`."
    for name in ("start_date", "end_date"):
        if not _is_time(config.get(name) or "2026-01-01"):
            yield f"The setting `{name}` isn't a time: write it as 2026-01-01 or 2026-01-01T12:00:00Z."
    try:
        admin_url_of(str(config.get("store", "my-store")), config.get("admin_url"))
    except Refused as refused:
        yield str(refused)


def _is_time(value: object) -> bool:
    try:
        instant(str(value))
    except ValueError:
        return False
    return True


def in_words(error: str) -> str:
    """Return a message of JSON schema with the setting's name set off, and the remedy for a missing one."""
    if error.endswith("is a required property"):
        _, name, _ = error.split("'")
        return f"The setting `{name}` is missing: set it in the config."
    return error
