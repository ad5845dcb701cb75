"""A PostgreSQL server of a test's own, in: nothing; out: where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES = shutil.which("pg_config")
USER = "meltano"


class Server(NamedTuple):
    """Where it is: its socket's folder, and its port on loopback. Its user needs no password."""

    folder: Path
    port: int


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A database server of its own, on loopback and by a socket in its folder; it refuses to be run by root."""
    if not POSTGRES:
        pytest.skip("PostgreSQL isn't installed: apt-get install postgresql")
    binaries = Path(subprocess.run([POSTGRES, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are closed to other users
    if user:
        shutil.chown(folder, user)
    run = {"cwd": folder, "user": user, "check": True, "capture_output": True}
    data = folder / "data"
    subprocess.run([binaries / "initdb", "--auth=trust", f"--username={USER}", "--no-sync", data], **run)
    port = free_port()
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -k {folder}"
    control = [binaries / "pg_ctl", "--silent", "--wait", "--pgdata", data, "--log", folder / "log"]
    subprocess.run([*control, "--options", options, "start"], **run)
    try:
        yield Server(folder, port)
    finally:
        subprocess.run([*control, "--mode=fast", "stop"], **run)
        shutil.rmtree(folder)
