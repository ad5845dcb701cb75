"""A tap as the SDK's defaults make it, in: the tap's own questions; out: each node as it comes, as a record.

The SDK's GraphQLStream, paginator, type conformance and writer: no waiting for points, no check of what is missing, no
connection read to its end, no bulk operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import Tap
from singer_sdk import typing as th
from singer_sdk.streams import GraphQLStream

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context


class PlainStream(GraphQLStream[str]):
    """Asks one question, page by page."""

    primary_keys = ("id",)
    replication_key = "updated_at"
    is_sorted = True
    records_jsonpath = "$.data.page.nodes[*]"
    next_page_token_jsonpath = "$.data.page.pageInfo.endCursor"

    def __init__(self, tap: Tap, name: str, settings: dict[str, Any]) -> None:
        super().__init__(tap, name=name, schema=settings["schema"])
        self._settings = settings

    @property
    def url_base(self) -> str:
        """The address of the GraphQL API."""
        return str(self.config["url"])

    @property
    def http_headers(self) -> dict[str, str]:
        """The headers of each request."""
        return {"X-Shopify-Access-Token": "shpat_sandbox", "Content-Type": "application/json"}

    @property
    def query(self) -> str:
        """The document."""
        return str(self._settings["query"])

    def get_url_params(self, context: Context | None, next_page_token: str | None) -> dict[str, Any]:  # noqa: ARG002  # the SDK's signature
        """Return the variables of the document."""
        return {**self._settings["variables"], "after": next_page_token}


class PlainTap(Tap):
    """The least that the SDK asks of a tap."""

    name = "tap-plain"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("streams", th.ObjectType(additional_properties=th.ObjectType(additional_properties=True))),
    ).to_dict()

    def discover_streams(self) -> list[PlainStream]:
        """Return the streams of the settings."""
        return [PlainStream(self, name, settings) for name, settings in self.config["streams"].items()]


if __name__ == "__main__":
    PlainTap.cli()
