"""A file of settings that holds none: a sentence with the file, and nothing of what stands in it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from target_posthog.errors import RunError
from target_posthog.settings import config_of

if TYPE_CHECKING:
    from pathlib import Path

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
