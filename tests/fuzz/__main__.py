"""``make fuzz``: SEED=1 COUNT=10000; CASE=… makes one file again and reads it.

Every file that ended in a finding, or in a way that nobody foresaw, is kept in ``build/fuzz``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from pathlib import Path

import structlog

from tests.fuzz.corpus import load_corpus
from tests.fuzz.lane import End
from tests.fuzz.report import Report
from tests.fuzz.run import run

BUILD = Path(__file__).parents[2] / "build" / "fuzz"


def main() -> int:
    arguments = _parse()
    if not arguments.case:  # of one, what the child said is worth reading
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    corpus = load_corpus(BUILD / "corpus")
    seeds = [arguments.case] if arguments.case else _seeds(arguments.seed, arguments.count)
    began_at = time.monotonic()
    report = asyncio.run(run(iter(seeds), corpus, lane_count=arguments.lanes, on_end=_keep))
    print("\n".join(report.lines()))
    print(f"seed {arguments.seed}, {time.monotonic() - began_at:.0f} s, {arguments.lanes} lanes")
    return 0 if report.is_clean else 1


def _keep(end: End, report: Report) -> None:
    if end.finding or end.weakness:
        name = f"{end.mutant.seed}-{end.mutant.name}".replace("/", "_")[:200]
        (BUILD / name).write_bytes(end.mutant.content)
        print(f"{name}: {end.code} {end.finding or end.weakness}", flush=True)
    if report.ends.total() % 500 == 0:
        print(f"{report.ends.total():,} files, {len(report.findings)} findings", flush=True)


def _seeds(seed: str, number: int) -> list[str]:
    return [f"{seed}.{index}" for index in range(number)]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="mutated files through the real sandbox")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--case", help="one file by its name in a report, as 1.4711")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
