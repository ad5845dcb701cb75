"""Real servers for Meltano's state, a PostgreSQL and an S3, each with the environment that reaches it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES = shutil.which("pg_config")


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A database server of its own, reached by a socket in its folder; the server refuses to be run by root."""
    if not POSTGRES:
        pytest.skip("PostgreSQL isn't installed: apt-get install postgresql")
    binaries = Path(subprocess.run([POSTGRES, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))  # pytest's own folders are closed to other users
    if user:
        shutil.chown(folder, user)
    run = {"cwd": folder, "user": user, "check": True, "capture_output": True}
    data = folder / "data"
    subprocess.run([binaries / "initdb", "--auth=trust", "--username=meltano", "--no-sync", data], **run)
    options = f"-c listen_addresses='' -c fsync=off -k {folder}"
    control = [binaries / "pg_ctl", "--silent", "--wait", "--pgdata", data, "--log", folder / "log"]
    subprocess.run([*control, "--options", options, "start"], **run)
    try:
        yield {"MELTANO_DATABASE_URI": f"postgresql+psycopg://meltano@/postgres?host={folder}"}
    finally:
        subprocess.run([*control, "--mode=fast", "stop"], **run)
        shutil.rmtree(folder)


@contextmanager
def s3() -> Iterator[dict[str, str]]:
    """An S3 with an empty bucket."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}
    client = pytest.importorskip("boto3").client(
        "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **keys
    )
    bucket = f"states-{port}"  # moto keeps its buckets in this process, for each server alike
    client.create_bucket(Bucket=bucket)
    try:
        yield {
            "MELTANO_STATE_BACKEND_URI": f"s3://{bucket}/shopify",
            "MELTANO_STATE_BACKEND_S3_ENDPOINT_URL": f"http://{host}:{port}",
            "MELTANO_STATE_BACKEND_S3_AWS_ACCESS_KEY_ID": keys["aws_access_key_id"],
            "MELTANO_STATE_BACKEND_S3_AWS_SECRET_ACCESS_KEY": keys["aws_secret_access_key"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        client.close()
        server.stop()


STATE_SERVERS = {"s3": s3, "postgres": postgres}
