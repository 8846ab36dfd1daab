"""All seeds through a few lanes, and a look at what is left behind."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz.corpus import Original
from tests.fuzz.lane import End, Lane
from tests.fuzz.mutate import make_mutant
from tests.fuzz.report import Report, look_for_files

OnEnd = Callable[[End, Report], None]


async def run(
    seeds: Iterator[str],
    corpus: list[Original],
    *,
    lane_count: int,
    on_end: OnEnd | None = None,
) -> Report:
    """Read the file of every seed; nothing is left behind but the report."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="synctables-fuzz-") as folder:
        root = open_folder(folder)
        lanes = [Lane(root) for _ in range(lane_count)]
        try:
            await asyncio.gather(*(_follow(lane, seeds, corpus, report, on_end) for lane in lanes))
        finally:
            await asyncio.gather(*(lane.close() for lane in lanes))
        report.left_files = look_for_files(root)
    report.left_processes = [pid for lane in lanes for pid in lane.survivors]
    return report


def open_folder(folder: str) -> Path:
    """A folder for workspaces below one that the child, who may be another user, gets through."""
    Path(folder).chmod(0o711)
    root = Path(folder, "workspaces")
    root.mkdir(mode=0o711)
    return root


async def _follow(
    lane: Lane, seeds: Iterator[str], corpus: list[Original], report: Report, on_end: OnEnd | None
) -> None:
    for seed in seeds:
        end = await lane.run(make_mutant(seed, corpus))
        report.add(end)
        if on_end:
            on_end(end, report)
