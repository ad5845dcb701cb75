"""Ctrl-C while a command still loads its modules ends it at once, as it ends other programs."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults import checks
from tests.pipeline.meltano_project import SCRIPTS, quiet_environment

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.posthog import PostHog
    from sandbox.shop import Shop

LONGEST_END_SECONDS = 60


@pytest.mark.parametrize("command", ["tap-shopify-orders", "target-posthog"])
@pytest.mark.parametrize("seconds", [0.0, 0.03, 0.08, 0.2, 0.4, 0.7])
def test_ctrl_c_is_answered_by_no_traceback_of_ours(
    shop: Shop, posthog: PostHog, tmp_path: Path, command: str, seconds: float
) -> None:
    tap = {"store": "sandbox", "access_token": "shpat_sandbox", "admin_url": f"{shop.url}/admin"}
    target = {"api_key": posthog.api_key, "host": posthog.url}
    (tmp_path / "config.json").write_text(json.dumps(tap if command.startswith("tap") else target))
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            [SCRIPTS / command, "--config", tmp_path / "config.json"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            env=quiet_environment(),
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=LONGEST_END_SECONDS)
    assert checks.said({command: log.decode()}, ()) == []
    # While Python still loads its own modules, it answers with 1.
    python_s_own = b"KeyboardInterrupt" in log or b"Fatal Python error: init_" in log
    assert process.returncode in {0, -signal.SIGINT, 128 + signal.SIGINT, *([1] if python_s_own else [])}
