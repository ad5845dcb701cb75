"""Settings: takes a config, returns its JSON schema, and a sentence for each mistake; `stores.py` has those of a list.

Pure: nothing is asked, and no stream is known.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk import typing as th
from singer_sdk.plugin_base import JSONSchemaValidator

from tap_shopify_orders.errors import RunError, in_environment, printable
from tap_shopify_orders.moments import as_datetime

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    Config = Mapping[str, Any]

ACCEPTABLE = {
    "partial_history": "orders that were placed in the last 60 days only, for want of the scope read_all_orders: of"
    " older ones no refund, return or edit comes either",
    "denied_fields": "records without the fields that Shopify denies, and deletions where it denies those",
    "api_version": "answers in another API version than the tap was made for",
    "no_ledger": "orders of which Shopify has no ledger of sales, or denies it",
}

METHODS = {
    "auto": "bulk where pages would take longer than two minutes at the store's rate limit",
    "pages": "queries of many small pages, each paid for in points of the rate limit",
    "bulk": "bulk operations, which Shopify runs in its own time and which cost next to nothing; ends the run if the"
    " app may not run any",
}

MONEY = {
    "text": "exact decimals in strings, `x-singer.decimal` in the schema",
    "number": "JSON numbers of the same digits, for targets that make text columns of strings",
}

CREDENTIALS = (("access_token",), ("client_id", "client_secret"))
LONGEST_LOOK_AGAIN_DAYS = 365
LONGEST_ATTRIBUTION_HOURS = 30 * 24
LONGEST_LOOKBACK_SECONDS = 10 * 365 * 86_400  # more leads out of the calendar
DEFAULT_PREFIX = "SHOPIFY_"
ENVIRONMENT = "TAP_SHOPIFY_ORDERS"  # before a setting's name in the environment
LOGLEVEL = "loglevel"  # read by the SDK (singer_sdk/plugin_base.py, _plugin_log_level)
ALIKE = 0.85  # of difflib's 1.0: a letter or two. An own variable such as ..._STORE_EU is less alike
TOKEN = re.compile(r"[!-~]{1,1000}")  # what a header can hold, without blanks
THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
# No user, no password, no backslash: readers of addresses disagree about the host of such a one.
_ADDRESS = re.compile(
    r"https?://([a-z0-9][a-z0-9.-]{0,250}|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?(/[\w.~/-]*)?", re.IGNORECASE | re.ASCII
)
_HANDLE = re.compile(r"[a-z0-9][a-z0-9-]*")
FORMS = "my-store, my-store.myshopify.com, https://my-store.myshopify.com or https://admin.shopify.com/store/my-store"


def _listed(choices: Mapping[str, str]) -> str:
    return "; ".join(f"{name} ({meaning})" for name, meaning in choices.items())


_START_DATE = th.Property(
    "start_date",
    th.StringType,
    title="Start date",
    description="Read what changed since then: 2026-01-01 or 2026-01-01T12:00:00Z. All by default.",
)
_END_DATE = th.Property(
    "end_date",
    th.StringType,
    title="End date",
    description="Read what changed before then, for a backfill in parts; up to now by default.",
)
_ACCEPT = th.Property(
    "accept",
    th.ArrayType(th.StringType(allowed_values=[*ACCEPTABLE])),
    default=[],
    title="Accepted gaps",
    description=f"Gaps that you know of and take: {_listed(ACCEPTABLE)}.",
)
_ADMIN_URL = th.Property(
    "admin_url",
    th.StringType,
    title="Admin URL",
    description="Root of the Admin API without /api; by default https://<store>.myshopify.com/admin.",
)
_STORE = th.Property("store", th.StringType, title="Store", description=f"The store: {FORMS}.")

# An entry of `stores`: a store, the names of environment variables with its credentials, and what differs for it.
ENTRY = th.ObjectType(
    _STORE,
    *(th.Property(f"{name}_env", th.StringType) for name in ("access_token", "client_id", "client_secret")),
    *(th.Property(setting.name, setting.wrapped) for setting in (_START_DATE, _END_DATE, _ACCEPT, _ADMIN_URL)),
)

SETTINGS: dict[str, Any] = th.PropertiesList(
    _STORE,
    th.Property(
        "stores",
        th.ArrayType(ENTRY),
        title="Stores",
        description="Several stores in one run, instead of `store`: a list of entries. Each has `store`, the names of"
        " the environment variables that hold its credentials (`access_token_env`, or `client_id_env` and"
        " `client_secret_env`; without them `client_id` and `client_secret` are those of all stores), and what differs"
        " for it of `start_date`, `end_date`, `accept` and `admin_url`.",
    ),
    th.Property(
        "credentials_prefix",
        th.StringType(pattern="^[A-Z][A-Z0-9_]*$"),
        default=DEFAULT_PREFIX,
        title="Prefix of credentials",
        description="How the names of the variables begin that entries of `stores` may name: whoever edits the list"
        " can't send anything else of the environment away.",
    ),
    th.Property(
        "stores_at_once",
        th.IntegerType(minimum=1),
        default=4,
        title="Stores at once",
        description="How many of the `stores` are read side by side.",
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
    _START_DATE,
    _END_DATE,
    th.Property(
        "lookback_seconds",
        th.IntegerType(minimum=0, maximum=LONGEST_LOOKBACK_SECONDS),
        default=3600,
        title="Lookback",
        description="How far before the bookmark a run begins, to catch what Shopify's search learns late; what"
        " hasn't changed isn't emitted again.",
    ),
    th.Property(
        "look_again_days",
        th.IntegerType(minimum=0, maximum=LONGEST_LOOK_AGAIN_DAYS),
        default=30,
        title="Look again",
        description="For how many days after its last change an order is looked at again in each run that waits for its"
        " attribution, a payment, a return or a parcel; 0 for never.",
    ),
    th.Property(
        "attribution_hours",
        th.IntegerType(minimum=0, maximum=LONGEST_ATTRIBUTION_HOURS),
        default=24,
        title="Wait for attribution",
        description="For how many hours after it was placed an order is held at most, until Shopify has worked out"
        " where its buyer came from, which takes some minutes; 0 to emit it at once. A run with an `end_date` doesn't"
        " wait.",
    ),
    th.Property(
        "method",
        th.StringType(allowed_values=[*METHODS]),
        default="auto",
        title="Method",
        description=f"How history is read: {_listed(METHODS)}.",
    ),
    th.Property(
        "money",
        th.StringType(allowed_values=[*MONEY]),
        default="text",
        title="Money",
        description=f"How amounts are written: {_listed(MONEY)}. Choose before the first run: it changes the types of"
        " columns.",
    ),
    _ACCEPT,
    _ADMIN_URL,
).to_dict()


def has_numbers(config: Mapping[str, Any]) -> bool:
    """Say whether amounts are to be JSON numbers."""
    return config.get("money") == "number"


def handle_of(store: str) -> str:
    """Return the store's handle, such as my-store; raises RunError for what is none, with the accepted forms."""
    typed = store.strip().lower()
    try:
        place = urlsplit(typed if "://" in typed else f"https://{typed}")
    except ValueError:  # such as http://[none]
        place = urlsplit("")
    host, steps = place.netloc, [step for step in place.path.split("/") if step]
    if host == "admin.shopify.com":
        handle = steps[1] if steps[:1] == ["store"] and len(steps) > 1 else ""
    else:
        handle = host.removesuffix(".myshopify.com")
    if not _HANDLE.fullmatch(handle):
        raise RunError(f"The setting `store` isn't a Shopify store: write it as {FORMS}.")
    return handle


def admin_url_of(store: str, admin_url: str | None) -> str:
    """Return the root of the Admin API: the one named, else Shopify's; raises RunError where a token would leak."""
    handle = handle_of(store)
    if not admin_url:
        return f"https://{handle}.myshopify.com/admin"
    try:
        place = urlsplit(admin_url if _ADDRESS.fullmatch(admin_url) else "")
        is_whole = bool(place.hostname) and place.port != 0
    except ValueError:
        is_whole = False
    if not is_whole:
        raise RunError(
            "The setting `admin_url` isn't an address such as https://my-store.myshopify.com/admin; it has no user, no"
            " password, no `?` and no `#`."
        )
    if place.scheme == "https" or (place.scheme == "http" and place.hostname in THIS_MACHINE):
        return admin_url.rstrip("/")
    raise RunError(
        "The setting `admin_url` has to begin with https://, or with http:// and an address of this machine."
    )


def mistakes(config: Config, known: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each mistake that JSON schema can't tell; `known` are the names that are settings.

    `mistakes_in_stores` finds those in the entries of `stores`.
    """
    yield from unknown("There is no setting", config, known)
    yield from wrong_times("The setting", config)
    yield from wrong_credentials(config)
    if config.get("stores"):
        return
    if not config.get("store"):
        yield f"The setting `store` is missing ({in_environment('store')}): name your store, or several in `stores`."
    if not (config.get("access_token") or (config.get("client_id") and config.get("client_secret"))):
        yield (
            "The credentials are missing: set `access_token`, or `client_id` and `client_secret`"
            f" ({in_environment('access_token')}, and so on)."
        )
    try:
        admin_url_of(str(config.get("store") or "my-store"), config.get("admin_url"))
    except RunError as mistake:
        yield str(mistake)


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that have a default, with it."""
    return {name: setting["default"] for name, setting in schema["properties"].items() if "default" in setting}


def wrong_kinds(config: Config, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each setting that isn't of the kind that a JSON schema says; none quotes a value."""
    for error in JSONSchemaValidator(schema).iter_errors(dict(config)):
        name, *inside = error.absolute_path or ("?",)
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{printable(step)}" for step in inside)
        kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
        named = ", ".join(f"`{kind}`" for kind in kinds if isinstance(kind, (str, int)) and kind != "null")
        needs = {"type": f"needs a value of type {named}", "enum": f"is one of {named}"}
        where = f"The setting `{printable(name)}`" + (f" (at `{place}`)" if place else "")
        yield f"{where} {needs.get(error.validator, f'is none that passes: `{error.validator}` {named}')}."


def wrong_credentials(config: Config) -> Iterator[str]:
    """Yield a sentence for each credential that can't be one; blanks around it don't count."""
    for name in (name for kind in CREDENTIALS for name in kind):
        if config.get(name) and not TOKEN.fullmatch(str(config[name]).strip()):
            yield f"The setting `{name}` has characters that no credential of Shopify's has: copy it again."


def unknown(beginning: str, names: Collection[str], known: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each name that isn't known, with the one that may be meant."""
    for name in set(names) - set(known):
        near = get_close_matches(name, known, n=1)
        meant = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(f'`{other}`' for other in known)}."
        yield f"{beginning} `{printable(name)}`: {meant}"


def misnamed_variables(
    environment: Mapping[str, str], config: Config, schema: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return a sentence for each variable whose name misspells a setting's, and the names of others that set nothing.

    Meltano gives a plugin what is set of it (`TAP_SHOPIFY_ORDERS_STREAM_MAPS_...` for what is inside of an object, and
    `TAP_SHOPIFY_ORDERS__SELECT` for its own extras) under the plugin's name and those that it inherits from; a second
    plugin's name may begin like this one's; and `stores` names variables. What may be any of these is left alone.
    """
    known = schema["properties"]
    stores = config.get("stores") if isinstance(config.get("stores"), list) else []
    of_stores = {str(value) for entry in stores or () if isinstance(entry, dict) for value in entry.values()}
    wrong, others = [], []
    for variable, name in _unread_variables(environment, schema):
        if name in config or variable in of_stores:
            continue
        if near := _meant(name, known):
            shown = f"`{printable(name)}` ({printable(variable)} in the environment)"
            wrong.append(f"There is no setting {shown}: did you mean `{near}`?")
        elif variable.startswith(f"{ENVIRONMENT}_"):
            others.append(printable(variable))
    return wrong, others


def _unread_variables(environment: Mapping[str, str], schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each variable under this plugin's name that sets nothing, with the rest of its name.

    Empty ones aren't set. A setting of another plugin is left alone, and so is what only Meltano reads, unless it is a
    setting's name behind one `_` too many.
    """
    known = schema["properties"]
    inside = tuple(f"_{name}_" for name, setting in known.items() if "object" in setting.get("type", ()))
    of_others = tuple(f"_{name}" for name in (*known, LOGLEVEL))
    in_meltano = environment.get("MELTANO_EXTRACTOR_NAME", "").upper().replace("-", "_")
    prefixes = sorted({f"{name}_" for name in (ENVIRONMENT, in_meltano) if name}, key=len, reverse=True)
    for variable in sorted(name for name, value in environment.items() if value):
        prefix = next((prefix for prefix in prefixes if variable.startswith(prefix)), variable)
        name = variable.removeprefix(prefix).lower()
        is_left_alone = "__" in variable or name.endswith(of_others) or any(part in f"_{name}" for part in inside)
        if name.startswith("_"):
            is_left_alone = name[1:] not in known
        if name and name not in {*known, LOGLEVEL} and not is_left_alone:
            yield variable, name


def _meant(name: str, known: Collection[str]) -> str | None:
    """Return the setting whose name is misspelt; one with a word or a number more (`store_eu`) is somebody's own."""
    near = next(iter(get_close_matches(name, known, n=1, cutoff=ALIKE)), None)
    is_own = near is not None and (name.startswith(f"{near}_") or name.rstrip("0123456789") == near)
    return None if is_own else near


def wrong_times(beginning: str, config: Config) -> Iterator[str]:
    """Yield a sentence for each date that is none, and for a span in which nothing can have happened."""
    given = {name: config[name] for name in ("start_date", "end_date") if config.get(name)}
    times = {name: as_datetime(str(value)) for name, value in given.items() if _is_time(value)}
    for name in given.keys() - times.keys():
        yield f"{beginning} `{name}` isn't a time: write it as 2026-01-01 or 2026-01-01T12:00:00Z."
    start, end = times.get("start_date"), times.get("end_date")
    if start and start > datetime.now(timezone.utc):
        yield f"{beginning} `start_date` is in the future, so nothing would be read: give a day that has been."
    elif start and end and start >= end:
        yield f"{beginning} `start_date` isn't before `end_date`, so nothing would be read: change one of them."


def _is_time(value: object) -> bool:
    try:
        as_datetime(str(value))
    except ValueError:
        return False
    return True


def domain_of(store: str) -> str:
    """Return the store's myshopify domain; raises RunError for what is no store."""
    return f"{handle_of(store)}.myshopify.com"
