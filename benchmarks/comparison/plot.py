"""Runs in .venv-bench: the figures of results.json as bars, a panel for each case.

python plot.py results.json plot.png
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt  # after the choice of how to draw

OURS = "Synctables"
COLUMNS = 2
INCHES = (6.0, 0.32)
"""Width of a panel, height of a bar."""


def draw(results: dict[str, Any], path: Path) -> None:
    """One panel per case; a bar is a median, a whisker goes from the fastest run to the slowest."""
    cases = [
        (case, list(group)) for case, group in groupby(results["measurements"], lambda m: m["case"])
    ]
    rows = math.ceil(len(cases) / COLUMNS)
    most = max(len(group) for _, group in cases)
    size = (COLUMNS * INCHES[0], rows * (most * INCHES[1] + 0.9))
    figure, axes = plt.subplots(rows, COLUMNS, figsize=size, squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, (case, group) in zip(axes.flat, cases, strict=False):
        _draw_case(place, case, group)
    machine = results["machine"]
    figure.suptitle(
        f"Seconds, less is better · {machine['cores']} cores, PostgreSQL {machine['PostgreSQL']},"
        f" {results['run']['date']}"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _draw_case(place: Any, case: str, group: list[dict[str, Any]]) -> None:
    names = [one["who"] + (" (once)" if len(one["turns"]) == 1 else "") for one in group]
    times = [[turn["seconds"] for turn in one["turns"]] for one in group]
    medians = [statistics.median(taken) for taken in times]
    below = [median - min(taken) for median, taken in zip(medians, times, strict=True)]
    above = [max(taken) - median for median, taken in zip(medians, times, strict=True)]
    colours = ["tab:blue" if one["who"] == OURS else "silver" for one in group]
    place.axis("on")
    bars = place.barh(names, medians, color=colours, xerr=[below, above], ecolor="dimgray")
    place.bar_label(bars, [f"{median:.2f}" for median in medians], padding=6, fontsize=8)
    place.invert_yaxis()
    place.margins(x=0.15)
    place.set_title(f"{case}: {group[0]['row_count']:,} rows", fontsize=10, loc="left")
    for side in ("top", "right"):
        place.spines[side].set_visible(False)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
