"""Runs in .venv-bench: the figures of results.json as bars.

python plot.py results.json plot.png
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # after the choice of how to draw

Measured = dict[str, Any]

OURS = "Synctables"
COLUMNS = 2
PANEL_INCHES = 6.5
BAR_INCHES = 0.3
TITLE_INCHES = 0.9

WAL_CASES = "wal "
TOGETHER = {
    (WAL_CASES,): "WAL of a refresh, MB, wal_level = replica",
    ("refresh ", "rewrite"): "refresh, seconds",
    ("large ",): "large files, seconds",
    ("size ",): "CSV from small to large, seconds",
}
"""Cases that share a panel, by how their names begin."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One set of axes: a bar is a median, a whisker goes from the least run to the greatest."""

    title: str
    bars: list[Measured]
    value: Callable[[Measured], float]
    """Of one turn."""


def make_panels(measurements: list[Measured]) -> list[Panel]:
    """A panel for each kind of import, one for all refreshes, one for their log."""
    panels = []
    for title, group in groupby(measurements, key=_title):
        bars = list(group)
        is_log = title.startswith("WAL")
        sizes = sorted({one["row_count"] for one in bars})
        panels.append(
            Panel(
                title=f"{title}: {sizes[-1]:,} rows",
                bars=bars,
                value=_megabytes if is_log else _seconds,
            )
        )
    return panels


def draw(results: dict[str, Any], path: Path) -> None:
    panels = make_panels(results["measurements"])
    rows = [panels[first : first + COLUMNS] for first in range(0, len(panels), COLUMNS)]
    heights = [max(len(one.bars) for one in row) * BAR_INCHES + TITLE_INCHES for row in rows]
    figure, axes = plt.subplots(
        len(rows),
        COLUMNS,
        figsize=(COLUMNS * PANEL_INCHES, sum(heights)),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for place in axes.flat:
        place.axis("off")
    for place, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(place, panel)
    machine = results["machine"]
    figure.suptitle(
        f"Less is better · {machine['cores']} cores, PostgreSQL {machine['PostgreSQL'].split()[0]},"
        f" {results['run']['date']}"
    )
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _draw_panel(place: Any, panel: Panel) -> None:
    values = [[panel.value(turn) for turn in one["turns"]] for one in panel.bars]
    medians = [statistics.median(found) for found in values]
    below = [median - min(found) for median, found in zip(medians, values, strict=True)]
    above = [max(found) - median for median, found in zip(medians, values, strict=True)]
    colours = ["tab:blue" if one["who"] == OURS else "silver" for one in panel.bars]
    places = range(len(panel.bars))
    place.axis("on")
    bars = place.barh(places, medians, color=colours, xerr=[below, above], ecolor="dimgray")
    place.set_yticks(places, [_label(one) for one in panel.bars])
    place.bar_label(bars, [f"{median:.3g}" for median in medians], padding=6, fontsize=8)
    place.invert_yaxis()
    place.margins(x=0.15)
    place.set_title(panel.title, fontsize=10, loc="left")
    for side in ("top", "right"):
        place.spines[side].set_visible(False)


def _title(one: Measured) -> str:
    case: str = one["case"]
    found = (title for beginnings, title in TOGETHER.items() if case.startswith(beginnings))
    return next(found, f"{case}, seconds")


def _label(one: Measured) -> str:
    is_of_many = _title(one) in TOGETHER.values()
    case = one["case"].removeprefix(WAL_CASES).removeprefix("refresh ")
    label = f"{one['who']}, {case}" if is_of_many and one["who"] == OURS else one["who"]
    return label + (" (once)" if len(one["turns"]) == 1 else "")


def _seconds(turn: Measured) -> float:
    return float(turn["seconds"])


def _megabytes(turn: Measured) -> float:
    return float(turn["wal_bytes"]) / 1e6


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
