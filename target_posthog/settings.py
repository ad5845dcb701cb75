"""Settings of the target: each is described here and nowhere else.

Gives the SDK a JSON schema; takes a user's settings, returns a sentence for each that is wrong. meltano.yml and the
documents are compared with it.
"""

from __future__ import annotations

import os
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import msgspec
from singer_sdk import typing as th
from singer_sdk.configuration._dict_config import parse_environment_config

from target_posthog.errors import RunError, did_you_mean
from target_posthog.mapping.document import NONE, shipped_names
from target_posthog.posthog.address import is_cloud
from target_posthog.posthog.client import DEFAULT_HOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENVIRONMENT = "TARGET_POSTHOG"  # before a setting's name in the environment
IDENTITIES = ["email", "customer_id", "email_sha256"]
UNMAPPED = ["event", "ignore", "fail"]
PROTOCOLS = ["auto", "v1", "batch"]
# "Below a few thousand events per second": https://posthog.com/docs/migrate. PostHog's own importer sends 5,000.
CLOUD_HISTORICAL_PER_SECOND = 2_000

LOGLEVEL = "loglevel"  # read by the SDK (singer_sdk/plugin_base.py, _plugin_log_level)
CUT_SHORT = ("plan", "plan_file", "preview", "preview_file")  # who writes one of these wants nothing sent
ALIKE = 0.85  # of difflib's 1.0: a letter or two. An own variable such as ..._API_KEY_EU is less alike

OF_FILES = ("receipts", "dead_letter_path", "summary_path", "preview_path", "plan_path")
STREAM_MAPS = "stream_maps"  # checked apart: the schema that the SDK has for them is none (`"null"` for a type)

SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property(
        "api_key",
        th.StringType,
        required=True,
        secret=True,
        title="Project API key",
        description="PostHog's project API key (starts with phc_), from the project's settings.",
    ),
    th.Property(
        "host",
        th.StringType,
        default=DEFAULT_HOST,
        title="Host",
        description="Where PostHog is: https://us.i.posthog.com, https://eu.i.posthog.com or your own server.",
    ),
    th.Property(
        "mapping",
        th.StringType,
        default="ecommerce",
        title="Mapping",
        description=(
            "The rules by which records become events: the name of a shipped mapping "
            f"({', '.join(shipped_names())}), `{NONE}` (none but those in `mappings`) or the path of a YAML file."
        ),
    ),
    th.Property(
        "mappings",
        th.ObjectType(additional_properties=True),
        title="Mappings",
        description="Rules per stream that change the mapping or add to it.",
    ),
    th.Property(
        "identity",
        th.StringType,
        default="email",
        allowed_values=IDENTITIES,
        title="Identity",
        description="What a customer's distinct id is: the e-mail, the customer's id or the e-mail's SHA-256.",
    ),
    th.Property(
        "nobody",
        th.ArrayType(th.StringType),
        title="Ids of nobody",
        description="Ids that stand for nobody, such as the shop's own e-mail address on orders that it enters itself.",
    ),
    th.Property(
        "unmapped",
        th.StringType,
        default="event",
        allowed_values=UNMAPPED,
        title="Unmapped streams",
        description="What a stream without rules becomes: an event per record, of no person; nothing; or an error.",
    ),
    th.Property(
        "groups",
        th.BooleanType,
        default=False,
        title="Groups",
        description="Put each event into the groups that the mapping names, such as the shop; PostHog charges for it.",
    ),
    th.Property(
        "dead_letter_path",
        th.StringType,
        title="Dead letters",
        description=(
            "File for records that can't be delivered, as Singer messages with the reason; without it the first one "
            "ends the run."
        ),
    ),
    th.Property(
        "receipts",
        th.StringType,
        secret=True,
        title="Receipts",
        description=(
            "Where the target remembers which events PostHog has acknowledged, so that none is sent twice: a file "
            "(SQLite, with personal data), or the URL of a PostgreSQL for runs on several machines."
        ),
    ),
    th.Property(
        "summary_path",
        th.StringType,
        title="Summary",
        description="File for the summary of the run, as JSON; its `days` are those of UTC.",
    ),
    th.Property(
        "preview_path",
        th.StringType,
        title="Preview",
        description=(
            "Send nothing: write what would be sent to this file (SQLite, with personal data) and print the plan. "
            "Needs no key, and leaves no STATE."
        ),
    ),
    th.Property(
        "plan_path",
        th.StringType,
        title="Plan",
        description=(
            "Hold the run to a plan that `target-posthog plan --out` has kept: it stops before it sends an event, a "
            "property or a number of events that the plan doesn't announce."
        ),
    ),
    th.Property(
        "personal_api_key",
        th.StringType,
        secret=True,
        title="Personal API key",
        description=(
            "PostHog's personal API key (starts with phx_) with the scope query:read, with which `explain`, "
            "`reconcile`, `receipts rebuild` and `resend --missing` ask PostHog what it has. A run doesn't need it."
        ),
    ),
    th.Property(
        "project_id",
        th.StringType,
        title="Project id",
        description="The project's number in PostHog, for the same commands.",
    ),
    th.Property(
        "time_zone",
        th.StringType,
        default="UTC",
        title="Time zone",
        description="The time zone, such as America/New_York, by whose days `reconcile` compares where the shop's own "
        "report, which names the shop's, wasn't read.",
    ),
    th.Property(
        "max_events",
        th.IntegerType(minimum=0),
        title="Most events",
        description="Stop a run before it sends more events than this, for PostHog counts them in its bill.",
    ),
    th.Property(
        "max_retry_seconds",
        th.IntegerType(minimum=0),
        default=900,
        title="Longest wait",
        description="How long to wait for a PostHog that is busy or away before the run fails.",
    ),
    th.Property(
        "historical_events_per_second",
        th.IntegerType(minimum=0),
        title="Back-fill speed",
        description=(
            "Most events per second of those older than 48 hours; by default "
            f"{CLOUD_HISTORICAL_PER_SECOND:,} on PostHog's cloud, as it asks, and unlimited elsewhere (0)."
        ),
    ),
    th.Property(
        "senders",
        th.IntegerType(minimum=1),
        default=4,
        title="Senders",
        description="How many requests may be under way at once; a person's events go one after another.",
    ),
    th.Property(
        "protocol",
        th.StringType,
        default="auto",
        allowed_values=PROTOCOLS,
        title="Protocol",
        description=(
            "PostHog's capture V1, which answers per event; its older /batch/, which acknowledges also what PostHog "
            "drops, as over a billing limit; or V1 where there is one."
        ),
    ),
).to_dict()


def as_path(value: str) -> str:
    """Return a path as its user means it: without the blanks around it, and with a home folder for `~`."""
    return os.path.expanduser(value.strip())  # noqa: PTH111  # pathlib would make one slash of the two of a URL


def defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that have a default, with it."""
    return {name: spec["default"] for name, spec in schema["properties"].items() if "default" in spec}


def config_of(name: str) -> dict[str, Any]:
    """Return the settings of a file, read once, as a pipe gives them once.

    Raises `RunError` for one that can't be read or has no JSON object; it quotes nothing of it.
    """
    try:
        found: dict[str, Any] = msgspec.json.decode(Path(name).read_bytes(), type=dict)
    except OSError as error:
        raise RunError(f"`--config {name}` can't be read: {error.strerror}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error) if isinstance(error, msgspec.DecodeError) else "it is no text, or nested too deeply"
        raise RunError(f"`--config {name}` isn't a JSON object: {why}. Write the settings as one.") from None
    return found


def config_of_environment(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the environment has, or else a file .env; one that is empty isn't set.

    Raises `RunError` for one that isn't of its setting's kind.
    """
    prefix, own = f"{ENVIRONMENT}_", dict(os.environ)
    parse_environment_config({}, prefix)  # takes in the file, which wins: the SDK searches the folders above its own
    os.environ.update({name: value for name, value in own.items() if value})
    config: dict[str, Any] = {}
    for name, setting in schema["properties"].items():
        variable = f"{prefix}{name.upper()}"
        if os.environ.get(variable):
            try:
                config |= parse_environment_config({"properties": {name: setting}}, prefix, os.devnull)
            except ValueError:
                kinds = ", ".join(f"`{kind}`" for kind in setting["type"] if kind != "null")
                raise RunError(f"{variable} in the environment needs a value of type {kinds}, as JSON.") from None
    return config


def meltano_command(environment: Mapping[str, str]) -> str:
    """Return how Meltano is called for what this process does: in its environment, if Meltano runs it in one."""
    name = environment.get("MELTANO_ENVIRONMENT")
    return f"meltano --environment={name}" if name else "meltano"


def misnamed_variables(
    environment: Mapping[str, str], config: Mapping[str, Any], schema: Mapping[str, Any]
) -> tuple[list[str], list[str]]:
    """Return a sentence for each variable whose name misspells a setting's, and the names of others that set nothing.

    Meltano gives a plugin what is set of it (`TARGET_POSTHOG_MAPPINGS_ORDERS_...` for what is inside of an object, and
    `TARGET_POSTHOG__...` for its own extras) under the plugin's name and those that it inherits from; a second plugin's
    name may begin like this one's. What may be any of these is left alone. No value is shown.
    """
    known = schema["properties"]
    wrong, others = [], []
    for variable, name in _unread_variables(environment, schema):
        if name in config:
            continue
        if near := _meant(name, known):
            wrong.append(f"There is no setting `{name}` ({variable} in the environment); did you mean `{near}`?")
        elif variable.startswith(f"{ENVIRONMENT}_"):
            others.append(variable)
    return wrong, others


def _unread_variables(environment: Mapping[str, str], schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each variable under this plugin's name that sets nothing, with the rest of its name.

    Empty ones aren't set. A setting of another plugin is left alone, and so is what only Meltano reads, unless it is a
    setting's name behind one `_` too many.
    """
    known = schema["properties"]
    inside = tuple(f"_{name}_" for name, setting in known.items() if "object" in setting.get("type", ()))
    of_others = tuple(f"_{name}" for name in (*known, LOGLEVEL))
    in_meltano = environment.get("MELTANO_LOADER_NAME", "").upper().replace("-", "_")
    prefixes = sorted({f"{name}_" for name in (ENVIRONMENT, in_meltano) if name}, key=len, reverse=True)
    for variable in sorted(name for name, value in environment.items() if value):
        prefix = next((prefix for prefix in prefixes if variable.startswith(prefix)), variable)
        name = variable.removeprefix(prefix).lower()
        is_left_alone = "__" in variable or name.endswith(of_others) or any(part in f"_{name}" for part in inside)
        if name.startswith("_"):
            is_left_alone = name[1:] not in known
        if name and name not in {*known, LOGLEVEL} and not is_left_alone:
            yield variable, name


def _meant(name: str, known: Mapping[str, Any]) -> str | None:
    """Return the setting whose name is misspelt; one with a word or a number more (`api_key_eu`) is somebody's own."""
    near = next(iter(get_close_matches(name, known, n=1)), None)
    if near is None or name.startswith(f"{near}_") or name.rstrip("0123456789") == near:
        return None
    return near if name in CUT_SHORT or SequenceMatcher(None, name, near).ratio() >= ALIKE else None


def historical_per_second(chosen: int | None, host: str) -> int | None:
    """Return the most events per second of a back-fill: as chosen, else what PostHog asks for on its cloud.

    None and 0 mean that there is no limit.
    """
    return CLOUD_HISTORICAL_PER_SECOND if chosen is None and is_cloud(host) else chosen


def wrong_settings(config: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each setting that is missing, unknown or of the wrong kind; none quotes a value.

    `singer/stream_maps.py` has those for stream maps.
    """
    known = schema["properties"]
    wrong = [f"There is no setting `{name}`{did_you_mean(name, known)}" for name in config if name not in known]
    for name in () if config.get("preview_path") else schema.get("required", ()):
        if not config.get(name):
            description = known[name]["description"]
            wrong.append(
                f"The setting `{name}` is missing (in .env POSTHOG_{name.upper()}, elsewhere"
                f" {ENVIRONMENT}_{name.upper()}): {description}"
            )
    for name, value in config.items():
        expected = None if name == STREAM_MAPS else known.get(name)
        if expected and value is not None and not jsonschema_rs.is_valid(expected, value):
            kinds = [kind for kind in expected.get("type", ()) if kind != "null"]
            choice = expected.get("enum")
            least = f", {expected['minimum']} or more" if "minimum" in expected else ""
            needs = (
                f"one of {', '.join(map(str, choice))}" if choice else f"a value of type {' or '.join(kinds)}{least}"
            )
            wrong.append(f"The setting `{name}` needs {needs}")
    return wrong
