"""Rows of figures become tables, in: what ran, what it used and what the servers saw; out: Markdown.

Knows neither how it was measured nor what a tap is.
"""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Used

MIB = 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One run: the store's orders, the records that went through, the events that should have come, what was seen."""

    name: str
    orders: int
    records: int
    expected_events: int
    used: Used
    seen: dict[str, Any]

    def cells(self, ours: Row | None) -> dict[str, str]:
        """Return every figure as it is printed; `ours` is the row with which the others are compared."""
        used, servers = self.used, (self.seen["shop"], self.seen["posthog"])
        requests = sum(one["requests"] for one in servers)
        first = self.seen["first_event_at"]
        cells = {
            "run": self.name,
            "orders": f"{self.orders:,}",
            "wall s": f"{used.wall_seconds:.1f}",
            "orders/s": f"{self.orders / used.wall_seconds:,.0f}" if self.records else "",
            "records/s": f"{self.records / used.wall_seconds:,.0f}",
            "CPU s": f"{used.cpu_seconds:.1f}",
            "records/CPU s": f"{self.records / used.cpu_seconds:,.0f}",
            "CPU s/1,000 orders": self._per_thousand_orders(used.cpu_seconds, 2),
            "peak MiB": " + ".join(f"{peak / MIB:.0f}" for peak in used.peaks_bytes),
            "requests": f"{requests:,}",
            "requests/1,000 orders": self._per_thousand_orders(requests, 1),
            "points": f"{servers[0]['points']:,}",
            "points/1,000 orders": self._per_thousand_orders(servers[0]["points"], 0),
            "MiB moved": f"{sum(one['received_bytes'] + one['sent_bytes'] for one in servers) / MIB:.1f}",
            "events": f"{self.seen['events']:,}",
            "lost": f"{self.expected_events - self.seen['events']:,}",
            "events/s": f"{self.seen['events'] / used.wall_seconds:,.0f}",
            "first event s": f"{first - used.started_at:.1f}" if first else "",
        }
        if ours:
            cells["wall, ours = 1"] = f"{used.wall_seconds / ours.used.wall_seconds:.2f}"
            cells["CPU, ours = 1"] = f"{used.cpu_seconds / ours.used.cpu_seconds:.2f}"
        return cells

    def _per_thousand_orders(self, number: float, digits: int) -> str:
        return f"{number / self.orders * 1000:,.{digits}f}" if self.records else ""


def table(rows: Sequence[Row], titles: Sequence[str], *, compared: bool = False) -> str:
    """Lay out the figures of those titles as Markdown; the first row is ours if they are compared."""
    ours = rows[0] if compared else None
    lines = [list(titles), *([row.cells(ours)[title] for title in titles] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    ruled = [
        "-" * width if title == "run" else "-" * (width - 1) + ":" for title, width in zip(titles, widths, strict=True)
    ]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if title == "run" else cell.rjust(width)
            for title, cell, width in zip(titles, line, widths, strict=True)
        )
        + " |"
        for line in [lines[0], ruled, *lines[1:]]
    )


def placed(document: str, name: str, part: str) -> str:
    """Return a document with the text between the comments of that name replaced; raises ValueError if it has none."""
    head, begins, rest = document.partition(f"<!-- {name}, written by ")
    rule, _, rest = rest.partition("\n")
    _, ends, tail = rest.partition(f"<!-- end of {name} -->")
    if not ends:
        raise ValueError(f"there is no place for {name!r}")
    return f"{head}{begins}{rule}\n\n{part}\n\n{ends}{tail}"


def machine() -> str:
    """Say where and when this runs, and what else the machine does."""
    cpus = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in cpus.read_text().splitlines() if line.startswith("model name")]
    model = models[0] if models else platform.processor()
    today = datetime.now(timezone.utc).date()
    return (
        f"{today}, {len(models)} x {model}, Python {platform.python_version()}, singer-sdk {version('singer-sdk')}, "
        f"posthog {version('posthog')}; {os.getloadavg()[0]:.1f} processes were running before the first row"
    )
