"""Figures become charts, in: labelled values; out: SVG drawn by pygal, without script or style of its own.

Colours and letters come from the page's stylesheet, so that a chart is light or dark with it, and a strict
Content-Security-Policy holds. Knows neither money nor events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import pygal  # type: ignore[import-untyped]  # it ships no types
from markupsafe import Markup
from pygal.style import Style  # type: ignore[import-untyped]  # the same

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 640, 260  # units of the drawing, which the stylesheet stretches
LETTERS = 20  # the same units: large enough to be read where the drawing is as narrow as a telephone
MOST_LABELS = 4  # of dates below a chart
MOST_VALUES = 7  # of bars on which their values have room
HEADROOM = 1.15  # of the highest bar, for its value
UNFINISHED = "unfinished"
DROPPED = {"defs", "desc", "title"}  # script, style, and words that the bars' own titles replace


@dataclass(frozen=True)
class Bar:
    """One value, how it reads in full and in short, where it leads, and whether more may come."""

    value: float
    words: str
    short: str
    href: str
    unfinished: bool = False


def columns(labels: Sequence[str], series: dict[str, list[Bar]], unit: str = "") -> Markup:
    """Draw upright bars over labels; series stand on each other, values below zero hang; `unit` stands at the axis.

    Where there is room, the value of a bar that stands is written above it.
    """
    every = -(-len(labels) // MOST_LABELS)
    chart = pygal.StackedBar(
        **_looks(HEIGHT, unit),
        x_labels_major_every=every,
        show_minor_x_labels=False,
        show_x_guides=False,
        max_scale=5,
        truncate_label=-1,
        **(_values_above(series) if len(labels) <= MOST_VALUES else {}),
    )
    chart.x_labels = labels
    return _drawn(chart, series)


def _values_above(series: dict[str, list[Bar]]) -> dict[str, Any]:
    """Write each bar's value above it, and leave room there for that of the highest."""
    sums = [[one.value for one in bars] for bars in zip(*series.values(), strict=True)]
    highest = max((sum(max(one, 0) for one in values) for values in sums), default=0)
    lowest = min((sum(min(one, 0) for one in values) for values in sums), default=0)
    return {"print_values": True, "print_values_position": "top", "range": (lowest, (highest or 1) * HEADROOM)}


def _looks(height: int, unit: str) -> dict[str, Any]:
    return {
        "js": (),
        "css": (),
        "style": Style(label_font_size=LETTERS, major_label_font_size=LETTERS),  # it sets the margins by these
        "show_legend": False,
        "width": WIDTH,
        "height": height,
        "margin": 4,
        "spacing": 8,
        "no_data_text": "",
        "order_min": 0,  # counts have no halves
        "value_formatter": lambda value: f"{value:,.10g} {unit}".strip(),
    }


def _drawn(chart: Any, series: dict[str, list[Bar]]) -> Markup:  # noqa: ANN401  # pygal has no types
    for name, bars in series.items():
        chart.add(name, [_value(one) for one in bars])
    chart.add_xml_filter(_plain)
    return Markup(chart.render(is_unicode=True, disable_xml_declaration=True))  # noqa: S704  # pygal escapes what it draws


def _value(bar: Bar) -> dict[str, Any]:
    short = bar.short

    def written(_: float) -> str:
        return short

    # Pygal's own style of a bar goes into an attribute, which becomes a class of the stylesheet's.
    style = {"style": UNFINISHED} if bar.unfinished else {}
    return {"value": bar.value, "label": bar.words, "xlink": {"href": bar.href}, "formatter": written, **style}


def _plain(root: Element) -> Element:
    """Keep the drawing alone; each bar's words become its title. The table beside it is for keyboard and voice."""
    root.set("aria-hidden", "true")
    for parent in list(root.iter()):
        for child in list(parent):
            words = child.text if child.tag == "desc" and child.get("class") == "label" else None
            overlaid = "overlay" in child.get("class", "") and not child.get("class", "").endswith("text-overlay")
            if not isinstance(child.tag, str) or child.tag in DROPPED or overlaid:
                parent.remove(child)
            if words:
                title = Element("title")
                title.text = words
                parent.append(title)
            if child.attrib.pop("style", "") == UNFINISHED:
                child.set("class", UNFINISHED)
            if child.tag == "a":
                child.set("tabindex", "-1")
                child.attrib.pop("target", None)
    return root
