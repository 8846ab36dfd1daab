"""What we want to reach, as ratios within one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from comparison.measuring import Measurement
from comparison.ours import Ours
from comparison.readers import Reading

SMALL_FILE_SECONDS = 1.0
REWRITE_STALL_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class Target:
    """Our median in ``case`` against another one."""

    case: str
    peer: str
    peer_case: str
    times_faster: float | None = None
    """The peer's seconds through ours: at least this."""
    at_most: float | None = None
    """Ours through the peer's: at most this."""
    quantity: Literal["seconds", "wal_bytes"] = "seconds"

    @property
    def wanted(self) -> str:
        if self.times_faster:
            return f"{self.times_faster:g}× faster"
        return f"≤ {self.at_most:g}×"


def _versus(
    case: str, peer: str, *, times_faster: float | None = None, at_most: float | None = None
) -> Target:
    return Target(case=case, peer=peer, peer_case=case, times_faster=times_faster, at_most=at_most)


def _versus_rewrite(case: str, at_most: float) -> Target:
    return Target(
        case=case, peer=Ours.name, peer_case="wal rewrite", at_most=at_most, quantity="wal_bytes"
    )


TARGETS = (
    _versus("csv", "ogr2ogr + SQL", times_faster=3),
    _versus("csv", "floor", at_most=1.25),
    _versus("geojson", "ogr2ogr + SQL", times_faster=2),
    _versus("shapefile", "ogr2ogr + SQL", times_faster=1.5),
    _versus("xlsx", "ogr2ogr + SQL", times_faster=3),
    _versus("refresh 1 %", "ogr2ogr + SQL", times_faster=10),
    Target(case="refresh 1 %", peer=Ours.name, peer_case="rewrite", times_faster=4),
    _versus_rewrite("wal 1 %", 0.25),
    _versus_rewrite("wal 0.1 %", 0.05),
    _versus("equal", "sha256sum", at_most=1.5),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One line of the table of targets."""

    what: str
    wanted: str
    measured: str
    is_reached: bool


def judge(measurements: Sequence[Measurement], readings: Sequence[Reading]) -> list[Verdict]:
    """A verdict for each target that this run has both sides of."""
    found = {(one.case, one.who): one for one in measurements}
    verdicts = [
        _judge_ratio(target, found[target.case, Ours.name], found[target.peer_case, target.peer])
        for target in TARGETS
        if (target.case, Ours.name) in found and (target.peer_case, target.peer) in found
    ]
    small = found.get(("small", Ours.name))
    if small:
        verdicts.append(
            Verdict(
                what="small: from POST to success",
                wanted=f"< {SMALL_FILE_SECONDS:g} s",
                measured=f"{small.seconds:.2f} s",
                is_reached=small.seconds < SMALL_FILE_SECONDS,
            )
        )
    return verdicts + [_judge_reading(one) for one in readings if one.case != "nothing"]


def _judge_ratio(target: Target, ours: Measurement, peer: Measurement) -> Verdict:
    mine, other = (getattr(one, target.quantity) for one in (ours, peer))
    who = target.peer if target.peer_case == target.case else target.peer_case
    what = f"{target.case}: {target.quantity.replace('_', ' ')} against {who}"
    if target.times_faster:
        ratio = other / mine
        is_reached = ratio >= target.times_faster
    else:
        ratio = mine / other
        is_reached = ratio <= (target.at_most or 0)
    return Verdict(what=what, wanted=target.wanted, measured=f"{ratio:.2f}×", is_reached=is_reached)


def _judge_reading(reading: Reading) -> Verdict:
    """Only a rewrite may make a reader wait for a lock, and not for long."""
    allowed = REWRITE_STALL_SECONDS if reading.case == "rewrite" else 0.0
    waited = reading.longest_lock_wait_seconds
    return Verdict(
        what=f"readers during {reading.case}, {reading.kind}: longest wait for a lock",
        wanted=f"≤ {allowed * 1000:.0f} ms" if allowed else "none",
        measured=f"{waited * 1000:.0f} ms",
        is_reached=waited <= allowed,
    )
