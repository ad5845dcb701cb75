"""The generated parts of the documents, in: the code; out: settings in meltano.yml, tables in docs/.

`make docs` writes them, `tests/test_documents.py` compares them. A generated part stands between two comments.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from pathlib import Path
from typing import Any

import yaml

from tap_shopify_orders.tap import TapShopifyOrders
from target_posthog.mapping.document import load, shipped_names
from target_posthog.mapping.language.functions import FUNCTIONS
from target_posthog.mapping.rule import rule_name
from target_posthog.singer.target import TargetPostHog

ROOT = Path(__file__).parent.parent
PLUGINS = {"tap-shopify-orders": TapShopifyOrders, "target-posthog": TargetPostHog}
PARTLY_GENERATED = [Path("meltano.yml"), Path("docs/operating.md"), Path("docs/mapping.md")]
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
        settings.append({key: value for key, value in setting.items() if value is not None})
    return settings


def settings_table(plugin: type[TapShopifyOrders | TargetPostHog]) -> str:
    """Return a Markdown table of the settings."""
    rows = ["| setting | default | what it does |", "| --- | --- | --- |"]
    required = plugin.config_jsonschema.get("required", [])
    for setting in meltano_settings(plugin):
        default = f"`{setting['value']}`" if "value" in setting else "*needed*" if setting["name"] in required else ""
        options = ", ".join(f"`{one['value']}`" for one in setting.get("options", ()))
        meaning = setting["description"] + (f" One of {options}." if options else "")
        rows.append(f"| `{setting['name']}` | {default} | {meaning} |")
    return "\n".join(rows)


EVENTS_INTRODUCTION = """# Events

What arrives in PostHog, by the mapping that the setting `mapping` names. Written by `make docs` from
`target_posthog/mapping/shipped/`; [mapping.md](mapping.md) says how to change it.

An event's uuid follows from its name and its key, so it is the same in every run. Money is in the order's currency,
with the digits that Shopify gives; times are UTC."""


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


def between(text: str, name: str, content: str) -> str:
    """Return the text with the part between the comments `<name>, written by` and `end of <name>` replaced."""
    here = re.escape(name)
    pattern = re.compile(rf"(?P<head>[^\n]*{here}, written by[^\n]*\n).*?(?P<tail>[^\n]*end of {here})", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"there is not one place for {name!r}")
    return pattern.sub(lambda found: f"{found['head']}{content.rstrip()}\n{found['tail']}", text)


def documents() -> dict[Path, str]:
    """Return each file with generated parts as it should be."""
    texts = {path: (ROOT / path).read_text() for path in PARTLY_GENERATED}
    for name, plugin in PLUGINS.items():
        settings = yaml.safe_dump(meltano_settings(plugin), sort_keys=False, allow_unicode=True, width=110)
        indented = "".join(f"    {line}\n" for line in settings.splitlines())
        texts[Path("meltano.yml")] = between(texts[Path("meltano.yml")], f"settings of {name}", indented)
        table = settings_table(plugin)
        texts[Path("docs/operating.md")] = between(texts[Path("docs/operating.md")], f"settings of {name}", table)
    mapping = between(texts[Path("docs/mapping.md")], "functions", functions_table())
    texts[Path("docs/mapping.md")] = between(mapping, "examples", examples())
    texts[Path("docs/events.md")] = events_page()
    return texts


if __name__ == "__main__":
    for path, text in documents().items():
        (ROOT / path).write_text(text)
