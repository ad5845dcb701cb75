"""Generated documents: the plugins' definitions for Meltano, the reference of settings, tables and pages in docs/.

`make docs` writes them from the code, `tests/test_documents.py` compares them. In a document that is written by hand a
generated part stands between two comments.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from docs.selecting import selecting_page
from tap_shopify_orders.tap import TapShopifyOrders
from target_posthog.commands.init import streams_of
from target_posthog.mapping.document import load, shipped_names
from target_posthog.mapping.draft import draft
from target_posthog.mapping.language.functions import FUNCTIONS
from target_posthog.mapping.rule import rule_name
from target_posthog.singer.target import TargetPostHog

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent
PROJECT_DEFAULTS = {
    "receipts": "$MELTANO_PROJECT_ROOT/.receipts/receipts.sqlite"
}  # also where no environment is active
PLUGINS = {"tap-shopify-orders": TapShopifyOrders, "target-posthog": TargetPostHog}
REPOSITORY = "https://github.com/shopify-posthog/shopify-posthog"
VARIANT = "shopify-posthog"
# What Meltano and its Hub know of a plugin besides its settings: https://docs.meltano.com/reference/plugin-definition-syntax.
ABOUT: dict[str, dict[str, Any]] = {
    "tap-shopify-orders": {
        "plugin_type": "extractors",
        "label": "Shopify orders and customers",
        "description": "Customers and orders of one or several Shopify stores, complete, from the Admin API.",
        "settings_group_validation": [["store", "access_token"], ["store", "client_id", "client_secret"], ["stores"]],
    },
    "target-posthog": {
        "plugin_type": "loaders",
        "label": "PostHog",
        "description": "Records of any tap as events and persons in PostHog, each once, at its time.",
        "settings_group_validation": [["api_key"], ["preview_path"]],
        "commands": {
            "init": {"args": "init", "description": "A mapping to start from, of what a tap has written."},
            "plan": {"args": "plan", "description": "What the last preview would send."},
            "explain": {"args": "explain", "description": "What becomes of an order or a customer, and why."},
            "reconcile": {"args": "reconcile", "description": "Whether shop, plan and PostHog agree, day by day."},
            "receipts": {"args": "receipts", "description": "What PostHog has acknowledged, by the receipts."},
            "resend": {"args": "resend", "description": "Mark facts to be sent again by the next full refresh."},
        },
    },
}
KINDS = {"string": "string", "integer": "integer", "boolean": "boolean", "array": "array", "object": "object"}


def meltano_settings(plugin: type[TapShopifyOrders | TargetPostHog]) -> list[dict[str, Any]]:
    """Return the settings as Meltano describes them: https://docs.meltano.com/reference/plugin-definition-syntax."""
    described = copy.deepcopy(plugin.config_jsonschema)
    plugin.append_builtin_config(described)
    settings = []
    for name, schema in described["properties"].items():
        types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        kind = KINDS[next(one for one in types if one != "null")]
        if "enum" in schema:
            kind = "options"
        elif schema.get("format") in {"date-time", "date"}:
            kind = "date_iso8601"
        setting = {"name": name, "kind": kind, "label": schema.get("title"), "description": schema["description"]}
        if kind == "options":
            setting["options"] = [{"label": one, "value": one} for one in schema["enum"] if one is not None]
        if schema.get("secret"):
            setting["sensitive"] = True
        if "default" in schema:
            setting["value"] = schema["default"]
        if name in PROJECT_DEFAULTS:
            setting["value"] = PROJECT_DEFAULTS[name]
        settings.append({key: value for key, value in setting.items() if value is not None})
    return settings


def definition(name: str) -> dict[str, Any]:
    """Return a plugin's definition, as `meltano add --from-ref` and Meltano's Hub take it."""
    plugin = PLUGINS[name]
    about = {key: value for key, value in ABOUT[name].items() if key != "plugin_type"}
    return {
        "name": name,
        "variant": VARIANT,
        "namespace": name.replace("-", "_"),
        "label": about.pop("label"),
        "description": about.pop("description"),
        "docs": f"{REPOSITORY}/blob/main/docs/settings.md",
        "repo": REPOSITORY,
        "logo_url": f"{REPOSITORY}/raw/main/sandbox/posthog/pages/static/icon.svg",
        "pip_url": "shopify-posthog",
        "executable": name,
        "keywords": ["meltano_sdk", "shopify" if name.startswith("tap") else "posthog"],
        "capabilities": sorted(capability.value for capability in plugin.capabilities),
        **about,
        "settings": meltano_settings(plugin),
    }


def lock(name: str) -> dict[str, Any]:
    """Return the definition as this project locks it, without a `pip_url`: it is run from the project's environment."""
    return {"plugin_type": ABOUT[name]["plugin_type"], **{k: v for k, v in definition(name).items() if k != "pip_url"}}


def settings_page() -> str:
    """Return docs/settings.md: each setting of both plugins."""
    lines = [SETTINGS_INTRODUCTION]
    for name, plugin in PLUGINS.items():
        groups = (" and ".join(f"`{one}`" for one in group) for group in ABOUT[name]["settings_group_validation"])
        lines += ["", f"## {name}", "", f"At least {', or '.join(groups)}.", "", settings_table(plugin)]
    return "\n".join(lines) + "\n"


def settings_table(plugin: type[TapShopifyOrders | TargetPostHog]) -> str:
    """Return a Markdown table of the settings."""
    rows = ["| setting | default | what it does |", "| --- | --- | --- |"]
    required = plugin.config_jsonschema.get("required", [])
    for setting in meltano_settings(plugin):
        default = f"`{setting['value']}`" if "value" in setting else "*needed*" if setting["name"] in required else ""
        if setting["name"] in PROJECT_DEFAULTS:
            default = f"none; in a Meltano project {default}"
        options = ", ".join(f"`{one['value']}`" for one in setting.get("options", ()))
        meaning = setting["description"] + (f" One of {options}." if options else "")
        rows.append(f"| `{setting['name']}` | {default} | {meaning} |")
    return "\n".join(rows)


SETTINGS_INTRODUCTION = """# Reference of settings

All settings of both plugins, written by `make docs` from the code. There are three ways to set one:

- `meltano config set target-posthog senders 2` writes it into your shop.meltano.yml, for every environment; with
  `--environment=prod` before `config`, for that one alone;
- a variable of the environment or a line in `.env`, which comes before the file: `TARGET_POSTHOG_SENDERS=2`,
  `TAP_SHOPIFY_ORDERS_METHOD=pages`;
- without Meltano, the JSON file of `--config`.

`meltano --environment=prod config list target-posthog --all` shows what is set, and where. Keys belong into `.env`,
not into a file that git keeps."""


EVENTS_INTRODUCTION = """# Events

What arrives in PostHog, by the mapping that the setting `mapping` names. Written by `make docs` from
`target_posthog/mapping/shipped/`; [mapping.md](mapping.md) says how to change it.

An event is a fact with its own moment, and a fact never changes: its uuid follows from its rule's name and
Shopify's ids alone, so it is the same in every run, and no property is "as of the sync" unless its meaning says so.
Money is in the order's currency, with the digits that Shopify gives; times are UTC.

## Money, as `ecommerce` has it

Every event of Shopify's ledger of sales (`Order Completed`, `Order Updated`, `Order Returned`, `Order Refunded`)
has the figures of its own sales under the names of Shopify's sales report, signed: `gross_sales`, `discounts`
(negative), `returns` (negative), `net_sales`, `shipping`, `taxes`, `duties`, `additional_fees`, `return_fees`,
`total_sales`. So a sum of one of them, over any events and days, is that figure of the report. Beside them stand
`tips` and `gift_cards` (sold), which are no sales. What is paid is no sale either: `cash` on `Order Paid`, negative
on `Payment Refunded` and `Change Given`. What is paid with a gift card is `gift_card_payment`, with store credit
`store_credit_payment`: then no money moves, as it came when the card was sold. `revenue` is on `Order Completed`
alone, as PostHog's specification has it, and is the order's `net_sales` of that moment.

| question | sum of | over |
| --- | --- | --- |
| Net sales or total sales of a day, as in Shopify | `net_sales`, `total_sales` | all events |
| What was sold, before anything came back | `gross_sales`, `net_sales` | `Order Completed` |
| What came back | `returns` | all events |
| What a customer is worth | `net_sales` | all events, by person |
| Money that came and went | `cash` | all events |

An order of which Shopify has no ledger has `total_sales` alone, on `Order Completed`: what it came to when it was
placed.

All events of an order have the same dimensions, such as `channel`, `coupon` and `billing_country`: what nobody can
change once the order is placed. The shipping address, tags, notes and the customer can be changed in Shopify, so
they are on none; an event of your own mapping may take them, as they are when it is first sent. A parcel that was
cancelled has left before, so it stays `Order Fulfilled`. A refund that no agreement of the ledger tells of, as that
of a return that was booked before, has no `Order Refunded`: its money is `Payment Refunded`.

## Which order is a customer's first

`order_index` and `is_first_order` come from Shopify's summary of the visits before an order. Shopify has none of
orders of a till, drafts, imports and most apps; they have neither property. This counts all orders by their own
time:

```sql
SELECT
  buyer,
  order_id,
  placed_at,
  row_number() OVER (PARTITION BY buyer ORDER BY placed_at, order_id) AS order_index
FROM (
  SELECT argMax(person_id, created_at) AS buyer, argMax(properties.order_id, created_at) AS order_id,
    argMax(timestamp, created_at) AS placed_at
  FROM events WHERE event = 'Order Completed' GROUP BY uuid -- copies are there until PostHog merges them
)
ORDER BY placed_at, order_id
LIMIT 50000
```

The person's own `first_order_at`, `first_channel`, `first_source`, `first_medium` and `first_campaign` come from
the order that Shopify counts as the first, and stay as they were."""


def events_page() -> str:
    """Return docs/events.md: each event of each shipped mapping, with its properties, their types, units, examples."""
    lines = [EVENTS_INTRODUCTION]
    for name in shipped_names():
        mapping = load(name)
        lines += ["", f"## Mapping `{name}`", "", mapping["about"].strip()]
        for stream, rules in mapping["streams"].items():
            for rule in rules:
                lines += ["", *_rule_lines(stream, rule, mapping["glossary"])]
    return "\n".join(lines) + "\n"


def _rule_lines(stream: str, rule: dict[str, Any], glossary: dict[str, Any]) -> list[str]:
    if "leave_out" in rule:
        return [f"### Left out of `{stream}`: {rule['leave_out']}", "", f"When `{rule['when']}`."]
    event = rule["event"]
    title = event if isinstance(event, str) else f"`{event['expression']}`"
    named = f" ({rule_name(rule)})" if rule_name(rule) != title else ""
    lines = [f"### {title}{named}", "", rule.get("about", "").strip(), ""]
    each = f", for each of `{rule['for_each']}`" if "for_each" in rule else ""
    when = f", when `{rule['when']}`" if "when" in rule else ""
    lines += [f"From `{stream}`{each}{when}. At `{rule['timestamp']}`; key `{', '.join(rule['key'])}`."]
    if "delete" in rule:
        lines += [f"When the record is deleted in Shopify: the event {rule['delete']}."]
    for part, heading in (
        ("properties", "property"),
        ("set", "person property"),
        ("set_once", "person property, once"),
    ):
        names = rule.get(part)
        if isinstance(names, dict) and names:
            lines += ["", f"| {heading} | type | unit | example | meaning |", "| --- | --- | --- | --- | --- |"]
            lines += [_property_row(name, glossary[name]) for name in names]
    return lines


def _property_row(name: str, one: dict[str, Any]) -> str:
    example = json.dumps(one["example"], ensure_ascii=False)
    return f"| `{name}` | {one['type']} | {one.get('unit', '')} | `{example}` | {one['about']} |"


def functions_table() -> str:
    """Return a Markdown table of the functions that expressions can call."""
    rows = ["| function | gives |", "| --- | --- |"]
    for name, function in FUNCTIONS.items():
        arguments = ", ".join(
            f"{one.name}, ..." if one.kind is one.VAR_POSITIONAL else one.name
            for one in inspect.signature(function).parameters.values()
        )
        meaning = (inspect.getdoc(function) or "").splitlines()[0].removeprefix("Return ")
        rows.append(f"| `{name}({arguments})` | {meaning} |")
    return "\n".join(rows)


def examples() -> str:
    """Return the example mappings, which `tests/target/test_examples.py` runs."""
    files = sorted((ROOT / "tests/target/examples").glob("*.yaml"))
    return "\n\n".join(f"```yaml\n{one.read_text().rstrip()}\n```" for one in files)


def tutorial(text: str, name: str) -> str:
    """Return the block of docs/mapping.md that stands under a comment."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", text, re.DOTALL)
    if not found:
        raise ValueError(f"docs/mapping.md has no block of the {name}")
    return found[1]


def first_draft(text: str) -> str:
    """Return what `target-posthog init` writes of the streams in docs/mapping.md."""
    lines = tutorial(text, "streams of the tutorial").encode().splitlines()
    return f"```yaml\n{draft(streams_of(lines), 'streams.singer').rstrip()}\n```"


def between(text: str, name: str, content: str) -> str:
    """Return the text with the part between the comments `<name>, written by` and `end of <name>` replaced."""
    here = re.escape(name)
    pattern = re.compile(rf"(?P<head>[^\n]*{here}, written by[^\n]*\n).*?(?P<tail>[^\n]*end of {here})", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"there is not one place for {name!r}")
    return pattern.sub(lambda found: f"{found['head']}{content.rstrip()}\n{found['tail']}", text)


def as_yaml(value: object) -> str:
    """Return a value as YAML, in the order in which it was made."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)


def definition_file(name: str) -> str:
    """Return the file that defines a plugin for Meltano."""
    return f"# Written by `make docs`.\n{as_yaml(definition(name))}"


def mapping_page() -> str:
    """Return docs/mapping.md, its generated parts written anew."""
    page = between((ROOT / "docs/mapping.md").read_text(), "functions", functions_table())
    return between(between(page, "draft", first_draft(page)), "examples", examples())


def locked(name: str) -> str:
    """Return the lock file of a plugin, as Meltano writes it."""
    return json.dumps(lock(name), indent=2, ensure_ascii=False) + "\n"


# Each file with generated parts, and what writes it.
DOCUMENTS: dict[Path, Callable[[], str]] = {
    Path("docs/settings.md"): settings_page,
    Path("docs/mapping.md"): mapping_page,
    Path("docs/events.md"): events_page,
    Path("docs/selecting.md"): selecting_page,
    **{Path("definitions") / f"{name}.yml": partial(definition_file, name) for name in ABOUT},
    **{
        Path("plugins") / about["plugin_type"] / f"{name}--{VARIANT}.lock": partial(locked, name)
        for name, about in ABOUT.items()
    },
}


if __name__ == "__main__":
    for path, written in DOCUMENTS.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(written())
