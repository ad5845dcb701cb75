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
LONGEST_NAME = 24  # letters of a name beside a bar
BAR_HEIGHT = 34
DROPPED = {"defs", "desc", "title"}  # script, style, and words that the bars' own titles replace


@dataclass(frozen=True)
class Bar:
    """One value, how it reads, and where it leads."""

    value: float
    words: str
    href: str


def columns(labels: Sequence[str], series: dict[str, list[Bar]]) -> Markup:
    """Draw upright bars over labels; series stand on each other, values below zero hang."""
    every = -(-len(labels) // MOST_LABELS)
    chart = pygal.StackedBar(
        **_looks(HEIGHT),
        x_labels_major_every=every,
        show_minor_x_labels=False,
        show_x_guides=False,
        max_scale=5,
        truncate_label=-1,
    )
    chart.x_labels = labels
    return _drawn(chart, series)


def rows(bars: dict[str, Bar]) -> Markup:
    """Draw lying bars, each beside its name, the first one uppermost."""
    chart = pygal.HorizontalBar(
        **_looks(60 + BAR_HEIGHT * len(bars)), show_x_labels=False, show_y_guides=False, truncate_label=LONGEST_NAME
    )
    chart.x_labels = [*reversed(bars)]
    return _drawn(chart, {"": [*reversed(bars.values())]})


def _looks(height: int) -> dict[str, Any]:
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
        "value_formatter": lambda value: f"{value:,.10g}",
    }


def _drawn(chart: Any, series: dict[str, list[Bar]]) -> Markup:  # noqa: ANN401  # pygal has no types
    for name, bars in series.items():
        chart.add(name, [{"value": one.value, "label": one.words, "xlink": {"href": one.href}} for one in bars])
    chart.add_xml_filter(_plain)
    return Markup(chart.render(is_unicode=True, disable_xml_declaration=True))  # noqa: S704  # pygal escapes what it draws


def _plain(root: Element) -> Element:
    """Keep the drawing alone; each bar's words become its title. The table beside it is for keyboard and voice."""
    root.set("aria-hidden", "true")
    for parent in list(root.iter()):
        for child in list(parent):
            words = child.text if child.tag == "desc" and child.get("class") == "label" else None
            if not isinstance(child.tag, str) or child.tag in DROPPED or "overlay" in child.get("class", ""):
                parent.remove(child)
            if words:
                title = Element("title")
                title.text = words
                parent.append(title)
            if child.tag == "a":
                child.set("tabindex", "-1")
                child.attrib.pop("target", None)
    return root
