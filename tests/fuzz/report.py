"""What a fuzz run comes to: ends by code, findings with their seeds, what is left behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from synctables.errors import describe_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fuzz.lane import End

_TOLD = 10


@dataclass
class Report:
    """The sums so far."""

    ends: Counter[int] = field(default_factory=Counter)
    findings: list[End] = field(default_factory=list)
    weaknesses: dict[str, list[End]] = field(default_factory=dict)
    slowest: list[End] = field(default_factory=list)
    left_files: list[str] = field(default_factory=list)
    left_processes: list[int] = field(default_factory=list)
    first_bytes: int = field(default_factory=lambda: psutil.Process().memory_info().rss)

    def add(self, end: End) -> None:
        self.ends[end.code] += 1
        if end.finding:
            self.findings.append(end)
        if end.weakness:
            self.weaknesses.setdefault(end.weakness, []).append(end)
        self.slowest = sorted([*self.slowest, end], key=lambda one: -one.seconds)[:_TOLD]

    @property
    def is_clean(self) -> bool:
        return not (self.findings or self.left_files or self.left_processes)

    def lines(self) -> Iterator[str]:
        """The report, for people."""
        yield f"{self.ends.total():,} files: {self.ends[0]:,} read, the others refused"
        for code, count in sorted(self.ends.items()):
            title = describe_code(code).title if code else "success"
            yield f"  {code:>6} {count:>6,}  {title}"
        yield "ends that nobody foresaw (coded, but with no words of ours):"
        for words, ends in sorted(self.weaknesses.items(), key=lambda item: -len(item[1])):
            yield f"  {len(ends):>6,}  {words[:200]}  (first: {_name(ends[0])})"
        yield "slowest:"
        yield from (f"  {end.seconds:6.1f} s  {end.code:>5}  {_name(end)}" for end in self.slowest)
        now = psutil.Process().memory_info().rss
        yield f"memory of the worker's side: {self.first_bytes >> 20} MiB, then {now >> 20} MiB"
        yield f"left behind: {len(self.left_files)} files, {len(self.left_processes)} processes"
        yield from (f"  {left}" for left in (*self.left_files, *self.left_processes))
        yield f"{len(self.findings)} findings"
        yield from (f"  {_name(end)}: {end.finding} {end.message}" for end in self.findings)


def look_for_files(root: Path) -> list[str]:
    """Whatever stands below the folder of workspaces, where nothing should."""
    return [str(path.relative_to(root)) for path in root.rglob("*")]


def _name(end: End) -> str:
    return f"CASE={end.mutant.seed} {'; '.join(end.mutant.edits)}"
