"""Real servers for Meltano's state, a PostgreSQL and an S3, each with the environment that reaches it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.postgres import USER, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A database server of its own, reached by a socket in its folder."""
    with postgres_server() as made:
        place = f"host={made.folder}&port={made.port}"
        yield {"MELTANO_DATABASE_URI": f"postgresql+psycopg://{USER}@/postgres?{place}"}


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
