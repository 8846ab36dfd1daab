"""Contestants take turns; each turn gives seconds, WAL and, for us, memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from comparison.bench import Bench
from comparison.contestants import Contestant, Parts
from comparison.editions import Edition
from comparison.memory_watch import watch_memory
from comparison.ours import Ours


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One measured run that left the right table."""

    seconds: float
    wal_bytes: int
    peak_bytes: int | None
    parts: Parts


@dataclass(kw_only=True)
class Measurement:
    """All turns of one contestant in one case."""

    case: str
    who: str
    row_count: int
    size_bytes: int
    remark: str = ""
    turns: list[Turn] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return statistics.median(turn.seconds for turn in self.turns)

    @property
    def wal_bytes(self) -> float:
        return statistics.median(turn.wal_bytes for turn in self.turns)

    @property
    def peak_bytes(self) -> int | None:
        peaks = [turn.peak_bytes for turn in self.turns if turn.peak_bytes is not None]
        return max(peaks, default=None)

    def as_json(self) -> dict[str, Any]:
        """Medians first, then every turn."""
        medians = {"seconds": round(self.seconds, 4), "wal_bytes": round(self.wal_bytes)}
        return {**asdict(self), "median": medians, "peak_bytes": self.peak_bytes}


def take_turn(bench: Bench, contestant: Contestant, work: Callable[[], Parts]) -> Turn:
    """Measure ``work`` on a database that has come to rest."""
    bench.settle()
    wal_before = bench.wal_position()
    with watch_memory(bench.service.process.pid) as memory:
        began_at = time.perf_counter()
        parts = work()
        seconds = time.perf_counter() - began_at
    return Turn(
        seconds=seconds,
        wal_bytes=bench.wal_position() - wal_before,
        peak_bytes=memory.peak_bytes if isinstance(contestant, Ours) else None,
        parts=parts,
    )


def compare_imports(
    bench: Bench, contestants: Sequence[Contestant], edition: Edition, *, case: str, runs: int
) -> list[Measurement]:
    """First imports; every table is checked, then dropped."""
    found = [_blank(case, one, edition) for one in contestants]
    for number in range(runs):
        for contestant, measured in zip(contestants, found, strict=True):
            if contestant.is_slow and number:
                continue
            measured.turns.append(_import_once(bench, contestant, edition))
    return found


def compare_refreshes(
    bench: Bench,
    contestants: Sequence[Contestant],
    editions: Iterable[Edition],
    *,
    case: str,
) -> list[Measurement]:
    """Refreshes to one edition after the other; who is slow has the first only.

    Every contestant has a table when this begins.
    """
    found: list[Measurement] = []
    for edition in editions:
        is_first = not found
        found = found or [_blank(case, one, edition) for one in contestants]
        for contestant, measured in zip(contestants, found, strict=True):
            if is_first or not contestant.is_slow:
                measured.turns.append(_refresh_once(bench, contestant, edition))
    return found


def _import_once(bench: Bench, contestant: Contestant, edition: Edition) -> Turn:
    turn = take_turn(bench, contestant, lambda: contestant.create(edition))
    contestant.check(edition)
    contestant.drop()
    return turn


def _refresh_once(bench: Bench, contestant: Contestant, edition: Edition) -> Turn:
    turn = take_turn(bench, contestant, lambda: contestant.refresh(edition))
    contestant.check(edition)
    return turn


def _blank(case: str, contestant: Contestant, edition: Edition) -> Measurement:
    return Measurement(
        case=case,
        who=contestant.name,
        row_count=edition.row_count,
        size_bytes=edition.size_bytes,
        remark=contestant.remark,
    )
