"""The results as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from comparison.cases import Findings
from comparison.measuring import Measurement
from comparison.ours import Ours
from comparison.readers import Reading
from comparison.targets import Verdict

_INTRODUCTION = """# Results

Written by `make bench`; [how it is measured](../README.md#side-by-side-make-bench). Each figure is
the median of its runs, and every run left the right table. "× ours" is the peer's time through
ours in the same case: 2 means that it takes twice as long as we do.
"""


def write_page(
    findings: Findings,
    verdicts: Sequence[Verdict],
    *,
    run: Mapping[str, str],
    machine: Mapping[str, str],
) -> str:
    """The whole page."""
    parts = [
        _INTRODUCTION + _list(findings.doubts, "**This run shows how it works, and no more:**"),
        _facts({**run, **machine}),
        "## Targets\n\n" + _verdicts(verdicts) + _list(findings.left_out, "Left out of this run:"),
        "## Times\n\n![Times](plot.png)\n\n" + _measurements(findings.measurements),
    ]
    if findings.readings:
        parts.append("## Readers\n\n" + _readings(findings.readings))
    return "\n".join(parts)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _facts(facts: Mapping[str, str]) -> str:
    return table(("", ""), [(name, value) for name, value in facts.items() if value])


def _verdicts(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return "None could be judged by what was measured.\n"
    return table(
        ("what", "wanted", "measured", "reached"),
        [
            (one.what, one.wanted, one.measured, "yes" if one.is_reached else "**no**")
            for one in verdicts
        ],
    )


def _measurements(measurements: Sequence[Measurement]) -> str:
    header = (
        "case",
        "rows",
        "MB",
        "who",
        "runs",
        "seconds",
        "from–to",
        "× ours",
        "WAL MB",
        "peak MB",
        "remark",
    )
    lines = []
    for _, group in groupby(measurements, key=lambda one: one.case):
        together = list(group)
        ours = next((one for one in together if one.who == Ours.name), None)
        lines += [_line(one, ours) for one in together]
    return table(header, lines)


def _line(one: Measurement, ours: Measurement | None) -> tuple[str, ...]:
    times = [turn.seconds for turn in one.turns]
    ratio = f"{one.seconds / ours.seconds:.2f}" if ours and ours is not one else ""
    return (
        one.case,
        f"{one.row_count:,}",
        f"{one.size_bytes / 1e6:,.1f}",
        f"**{one.who}**" if one.who == Ours.name else one.who,
        str(len(times)),
        f"{one.seconds:.2f}",
        f"{min(times):.2f}–{max(times):.2f}",
        ratio,
        f"{one.wal_bytes / 1e6:,.1f}",
        f"{one.peak_bytes / 1e6:,.0f}" if one.peak_bytes else "",
        one.remark or _stages(one),
    )


def _stages(one: Measurement) -> str:
    """Of the run in the middle, what took longest."""
    middle = min(one.turns, key=lambda turn: abs(turn.seconds - one.seconds))
    stages = sorted(middle.parts.items(), key=lambda part: -part[1])[:3]
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in stages)


def _readings(readings: Sequence[Reading]) -> str:
    header = ("during", "reader", "look-ups", "median ms", "longest ms", "longest wait for a lock")
    return table(
        header,
        [
            (
                one.case,
                one.kind,
                f"{one.query_count:,}",
                f"{one.median_seconds * 1000:.1f}",
                f"{one.longest_seconds * 1000:.0f}",
                f"{one.longest_lock_wait_seconds * 1000:.0f} ms",
            )
            for one in readings
        ],
    )


def _list(lines: Sequence[str], title: str) -> str:
    if not lines:
        return ""
    heading = f"\n{title}\n" if title else ""
    return f"{heading}\n" + "".join(f"- {line}\n" for line in lines)
