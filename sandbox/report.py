"""What arrived becomes lines to read, in: PostHog's address; out: figures, and one event in full.

Knows PostHog's JSON view only.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_SECONDS = 30.0


def ask(posthog_url: str, path: str, **parameters: str | int) -> Any:  # noqa: ANN401  # JSON has any shape
    """Return the JSON of one of PostHog's views."""
    answer = requests.get(f"{posthog_url}{path}", params=parameters, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    return answer.json()


def arrived(posthog_url: str) -> Iterator[str]:
    """Yield the figures: events per name, persons, net sales (also as orders were placed) and total sales, times."""
    totals = ask(posthog_url, "/api/totals")
    sent, repeated = totals["received"], totals["repeats"]
    yield f"events     {sum(totals['events'].values()):>9,}   sent {sent:,}, repeated {repeated:,}"
    for name, count in totals["events"].items():
        yield f"  {count:>18,}   {name}"
    yield f"persons    {totals['persons']:>9,}"
    for row, (currency, amount) in enumerate(totals["net_sales"].items()):
        placed = Decimal(totals["placed"].get(currency, 0))
        label = "" if row else "net sales"
        yield f"{label:<11} {placed:>12,} {currency} as placed, {Decimal(amount):,} after edits, returns and refunds"
    for row, (currency, amount) in enumerate(totals["total_sales"].items()):
        yield f"{'' if row else 'total sales':<11} {Decimal(amount):>12,} {currency}"
    yield f"from       {totals['oldest']} to {totals['newest']}"


def one_in_full(posthog_url: str, uuid: str) -> str:
    """Return one event as PostHog keeps it, in indented JSON."""
    event = ask(posthog_url, f"/api/events/{uuid}")
    kept = {key: event[key] for key in ("event", "uuid", "distinct_id", "timestamp", "properties")}
    return json.dumps(kept, indent=2, ensure_ascii=False)
