"""Records of a store, in: a store; out: what the tap writes of it, by stream.

Knows only how the tap's command is run.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from sandbox.shop import Shop
from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS, ROOT, quiet_environment

if TYPE_CHECKING:
    from sandbox.shop.store import Store


def records_of(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each stream."""
    with Shop(store).serve() as shop, TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        token = shop.settings.access_token
        config.write_text(json.dumps({"store": "sandbox", "access_token": token, "admin_url": f"{shop.url}/admin"}))
        done = subprocess.run(
            [sys.executable, "-m", "tap_shopify_orders", "--config", config],
            cwd=ROOT,
            env=quiet_environment(),
            capture_output=True,
            check=True,
            timeout=LONGEST_RUN_SECONDS,
        )
    records = defaultdict(list)
    for message in map(json.loads, done.stdout.splitlines()):
        if message["type"] == "RECORD":
            records[message["stream"]].append(message["record"])
    return dict(records)
