"""Stores of a run: takes settings, returns those of each store, and a sentence for each mistake in `stores`.

Pure: variables of the environment are an argument.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.settings import (
    CREDENTIALS,
    DEFAULT_PREFIX,
    ENTRY,
    TOKEN,
    admin_url_of,
    domain_of,
    unknown,
    wrong_times,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tap_shopify_orders.settings import Config

OVERRIDES = ("start_date", "end_date", "accept", "admin_url")
OF_THE_LIST = ("stores", "stores_at_once", "credentials_prefix")
OF_ONE_STORE = ("store", "access_token", "admin_url")  # who gives these beside `stores` may send a token to a stranger
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")  # anything else may be the credential itself, and isn't repeated


def configs(config: Config, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the settings of each store by its domain, as if it were the only one; of settings without mistakes."""
    if not config.get("stores"):
        return {domain_of(config["store"]): dict(config)}
    return {domain_of(entry["store"]): _config_of(entry, config, environment) for entry in config["stores"]}


def _config_of(entry: Config, config: Config, environment: Mapping[str, str]) -> dict[str, Any]:
    own = {name: entry[name] for name in OVERRIDES if entry.get(name) not in (None, "")}  # an empty list says something
    named = {name: entry[f"{name}_env"] for kind in CREDENTIALS for name in kind if entry.get(f"{name}_env")}
    credentials = {name: environment[variable] for name, variable in named.items()}
    shared = {name: value for name, value in config.items() if name not in (*OF_THE_LIST, *OF_ONE_STORE)}
    if credentials:
        shared.pop("client_id", None)
        shared.pop("client_secret", None)
    return {**shared, **own, **credentials, "store": entry["store"]}


def mistakes_in_stores(config: Config, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each mistake in `stores` that JSON schema can't tell."""
    stores = config.get("stores")
    if not stores or not isinstance(stores, list) or not all(isinstance(entry, dict) for entry in stores):
        return
    if config.get("store"):
        yield "Set either `store` or `stores`: a run reads the one store, or those of the list."
    if config.get("access_token"):
        yield (
            "The setting `access_token` is that of one store: put it into an environment variable, and name that as"
            " `access_token_env` in the store's entry of `stores`."
        )
    if config.get("admin_url"):
        yield "The setting `admin_url` is that of one store: set it in the store's entry of `stores`."
    listed: dict[str, str] = {}
    for number, entry in enumerate(stores, 1):
        where = f"Store {number} of `stores`"
        yield from _mistakes_in_entry(where, entry)
        yield from _missing_credentials(where, entry, config, environment)
        try:
            shop = domain_of(str(entry.get("store") or f"no-store-{number}"))
        except RunError:
            continue  # told already
        if shop in listed:
            yield f"{where} is the same as {listed[shop].lower()}: {shop} may stand there once."
        listed.setdefault(shop, where)


def _mistakes_in_entry(where: str, entry: Config) -> Iterator[str]:
    for name in (name for kind in CREDENTIALS for name in kind if name in entry):
        yield f"{where} has `{name}`: put it into an environment variable, and name that as `{name}_env`."
    known = list(ENTRY.to_dict()["properties"])
    yield from unknown(f"{where} has no setting", {*entry} - {name for kind in CREDENTIALS for name in kind}, known)
    yield from wrong_times(f"{where}:", entry)
    if not entry.get("store"):
        yield f"{where} lacks `store`: name the store."
    try:
        admin_url_of(str(entry.get("store") or "my-store"), entry.get("admin_url"))
    except RunError as mistake:
        yield f"{where}: {mistake}"


def _missing_credentials(where: str, entry: Config, config: Config, environment: Mapping[str, str]) -> Iterator[str]:
    shared = bool(config.get("client_id") and config.get("client_secret"))
    prefix = config.get("credentials_prefix") or DEFAULT_PREFIX
    named = {name for kind in CREDENTIALS for name in kind if entry.get(f"{name}_env")}
    if named not in ([*map(set, CREDENTIALS), set()] if shared else [*map(set, CREDENTIALS)]):
        yield (
            f"{where} needs the names of environment variables with its credentials: `access_token_env`, or both"
            " `client_id_env` and `client_secret_env`."
        )
    for name in sorted(named):
        variable = str(entry[f"{name}_env"])
        if not _VARIABLE.fullmatch(variable):
            yield (
                f"{where}: `{name}_env` has to be the name of an environment variable, in capitals such as"
                " SHOPIFY_ACME_TOKEN; what is secret stands in the variable."
            )
        elif not variable.startswith(prefix):
            yield (
                f"{where}: `{name}_env` has to be the name of a variable that begins with {prefix}: call it so, or set"
                " `credentials_prefix` beside `stores`."
            )
        elif not environment.get(variable):
            yield f"{where}: the environment variable {variable}, which `{name}_env` names, isn't set."
        elif not TOKEN.fullmatch(environment[variable].strip()):
            yield f"{where}: {variable} has characters that no credential of Shopify's has: copy it again."
    if entry.get("admin_url") and not named:
        yield f"{where} has an `admin_url`, and needs credentials of its own: those of all stores go to Shopify alone."
