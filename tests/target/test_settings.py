"""Settings from files and the environment: a sentence for a mistake, and nothing of what stands in it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from target_posthog.errors import RunError
from target_posthog.settings import SETTINGS, config_of, meltano_command, misnamed_variables

from .conftest import lines

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Runs

WRONG = {
    "nothing": (b"", "truncated"),
    "half a file": (b'{"api_key": "phc_jane', "truncated"),
    "a list": (b'[{"api_key": "phc_jane"}]', "Expected `object`, got `array`"),
    "null": (b"null", "Expected `object`, got `null`"),
    "no JSON": (b"api_key: phc_jane", "JSON is malformed"),
    "no text": (b'{"api_key": "\xff"}', "it is no text"),
    "no end": (b'{"a":' * 100_000, "nested too deeply"),
}


@pytest.mark.parametrize(("content", "why"), WRONG.values(), ids=WRONG)
def test_what_is_no_object_gets_a_sentence_that_repeats_nothing(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(RunError) as raised:
        config_of(str(tmp_path / "x.json"))
    assert "x.json` isn't a JSON object: " in str(raised.value)
    assert why in str(raised.value)
    assert "jane" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "why"), [(b'{"api_key": "phc_jane', "isn't a JSON object"), (None, "can't be read")]
)
def test_the_command_says_so_once(tmp_path: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-m", "target_posthog", "--config", str(tmp_path / "x.json")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr.splitlines()[-1]
    assert done.stderr.count("ERROR") == 1
    assert "Traceback" not in done.stderr
    assert "jane" not in done.stderr


MISSPELT = {
    "MAX_EVENT": "max_events",
    "EVENT_MAX_EVENTS": None,  # another plugin's
    "PLAN_PTAH": "plan_path",
    "PLAN": "plan_path",
    "PREVIEW": "preview_path",
    "PREVIEW_FILE": "preview_path",
    "RECIEPTS": "receipts",
    "HOTS": None,  # not alike enough to stop a schedule for it
    "_MAX_EVENTS": "max_events",
    "PROJECT_ID_EU": None,  # somebody's own, for the settings to name
    "API_KEY_PROD": None,
    "EU_MAX_EVENT": None,
    "PATH": None,
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items(), ids=MISSPELT)
def test_a_variable_that_misspells_a_setting_is_a_mistake(name: str, meant: str | None) -> None:
    wrong, others = misnamed_variables({f"TARGET_POSTHOG_{name}": "phc_jane"}, {}, SETTINGS)
    told = f"({_variable(name)} in the environment); did you mean `{meant}`?"
    assert [sentence.endswith(told) for sentence in wrong] == [True] * bool(meant)
    assert "jane" not in f"{wrong}{others}"


def _variable(name: str) -> str:
    return f"TARGET_POSTHOG_{name}"


def test_what_may_be_meltanos_or_another_plugins_is_left_alone() -> None:
    names = [
        *(name.upper() for name in SETTINGS["properties"]),
        "LOGLEVEL",
        "_LOAD_SCHEMA",
        "_SELECT_FILTER",
        "MAPPINGS_ORDERS",
        "EU_API_KEY",
        "EU_LOGLEVEL",
        "EU__DIALECT",
        "EU_MAPPINGS_ORDERS",
        "PREVIEW_API_KEY",
        "PREVIEW_LOGLEVEL",
        "SERVICE_HOST",  # of Kubernetes
        "PREVIEW_SERVICE_HOST",  # the same, of a service target-posthog-preview
    ]
    others = {"TARGET_POSTHOGS": "x", "PATH": "x", "POSTHOG_MAX_EVENT": "x", "TARGET_POSTHOG_MAX_EVENT": ""}
    assert misnamed_variables({**{_variable(name): "x" for name in names}, **others}, {}, SETTINGS) == ([], [])


def test_another_name_that_sets_nothing_is_said() -> None:
    names = ["API_KEY2", "API_KEY_PROD", "LIMIT", "MAX_RETRIES", "PLAN_BUCKET", "PREVIEW_PORT", "PREVIEW_SERVICE_PORT"]
    environment = {_variable(name): "phc_jane" for name in names}
    assert misnamed_variables(environment, {}, SETTINGS) == ([], [_variable(name) for name in names])


def test_what_meltano_has_from_the_settings_is_told_as_theirs() -> None:
    assert misnamed_variables({"TARGET_POSTHOG_MAX_EVENT": "5"}, {"max_event": 5}, SETTINGS) == ([], [])


def test_under_meltano_the_plugins_own_name_counts_too() -> None:
    plugin = {"MELTANO_LOADER_NAME": "target-posthog-eu", "TARGET_POSTHOG_EU_API_KEY": "x"}
    wrong, others = misnamed_variables({**plugin, "TARGET_POSTHOG_EU_MAX_EVENT": "5"}, {}, SETTINGS)
    assert wrong == [
        "There is no setting `max_event` (TARGET_POSTHOG_EU_MAX_EVENT in the environment); did you mean `max_events`?"
    ]
    assert others == []


def test_a_misspelt_variable_ends_the_run_and_another_is_a_warning(runs: Runs, tmp_path: Path) -> None:
    process = runs.process(tmp_path, {"TARGET_POSTHOG_MAX_EVENT": "50417", "TARGET_POSTHOG_LIMIT": "50417"})
    said, logged = process.communicate(lines({"type": "STATE", "value": {}}), timeout=60)
    assert (process.returncode, said) == (1, "")
    assert "did you mean `max_events`?" in logged.splitlines()[-1]
    assert "No settings, and not read: TARGET_POSTHOG_LIMIT in the environment" in logged
    assert "50417" not in logged


def test_the_process_own_variables_win_over_a_file_env(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TARGET_POSTHOG_API_KEY=phc_file\nTARGET_POSTHOG_UNMAPPED=ignore\n")
    code = """if True:
        from target_posthog.settings import SETTINGS, config_of_environment
        config = config_of_environment(SETTINGS)
        print(config["api_key"], config["unmapped"])
    """
    environment = {**os.environ, "TARGET_POSTHOG_API_KEY": "phc_own", "TARGET_POSTHOG_UNMAPPED": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "phc_own ignore\n"


def test_a_remedy_names_the_environment_of_the_run() -> None:
    assert meltano_command({"MELTANO_ENVIRONMENT": "prod"}) == "meltano --environment=prod"
    assert meltano_command({}) == "meltano"
