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
    """Yield the figures: events per name, persons, net and total sales per currency, times."""
    totals = ask(posthog_url, "/api/totals")
    sent, repeated = totals["received"], totals["repeats"]
    yield f"events     {sum(totals['events'].values()):>9,}   sent {sent:,}, repeated {repeated:,}"
    for name, count in totals["events"].items():
        yield f"  {count:>18,}   {name}"
    yield f"persons    {totals['persons']:>9,}"
    for name in ("net_sales", "total_sales"):
        for row, (currency, amount) in enumerate(totals[name].items()):
            label = name.replace("_", " ") if row == 0 else ""
            placed = totals["placed"].get(currency) if name == "net_sales" else None
            when = f"   {Decimal(placed):,} {currency} when placed" if placed else ""
            yield f"{label:<11} {Decimal(amount):>12,} {currency}{when}"
    yield f"from       {totals['oldest']} to {totals['newest']}"


def one_in_full(posthog_url: str, uuid: str) -> str:
    """Return one event as PostHog keeps it, in indented JSON."""
    event = ask(posthog_url, f"/api/events/{uuid}")
    kept = {key: event[key] for key in ("event", "uuid", "distinct_id", "timestamp", "properties")}
    return json.dumps(kept, indent=2, ensure_ascii=False)
