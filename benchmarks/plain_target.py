"""A target as the SDK's defaults make it, in: Singer messages; out: one event per record, in batches of 500.

The SDK's reader, validator and BatchSink, with `json`, `gzip` and `requests` below them: no mapping, no verdicts, no
retries, no order of persons.
"""

from __future__ import annotations

import gzip
import json
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import requests
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink


class PlainSink(BatchSink):
    """Sends each batch in one request."""

    max_size = 500
    session = requests.Session()

    def process_batch(self, context: dict[str, Any]) -> None:
        """Send the records as events under their own numbers."""
        events = [self._event(record) for record in context["records"]]
        body = json.dumps({"api_key": "phc_sandbox", "batch": events}, default=str).encode()
        answer = self.session.post(
            f"{self.config['host']}/batch/",
            data=gzip.compress(body, 1),
            headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
            timeout=60,
        )
        answer.raise_for_status()

    def _event(self, record: dict[str, Any]) -> dict[str, Any]:
        return {
            "event": self.stream_name,
            "uuid": str(uuid5(NAMESPACE_URL, f"{self.stream_name}/{record['id']}")),
            "distinct_id": str(record["id"]),
            "timestamp": record["created_at"],
            "properties": record,
        }


class PlainTarget(Target):
    """The least that the SDK asks of a target."""

    name = "target-plain"
    default_sink_class = PlainSink
    config_jsonschema = th.PropertiesList(th.Property("host", th.StringType, required=True)).to_dict()


if __name__ == "__main__":
    PlainTarget.cli()
