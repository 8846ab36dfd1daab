"""What `synctables doctor` says of the work: what is overdue, what stalled, what was left over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from synctables.durations import format_seconds
from synctables.importer.orphaned_children import find_orphaned_children
from synctables.importer.workspace_owners import WORKSPACES, find_orphaned_workspaces
from synctables.localpg import Finding
from synctables.syncs.vital_signs import VitalSigns

LONGEST_LAG_SECONDS = 300
"""Within so long a busy service catches up by itself."""

_MORE_WORKERS = "synctables worker  # one more, here or on another machine"
_LOOK = "Workers see to it within a minute. If it stays, their logs say why."


@dataclass(frozen=True, kw_only=True)
class Work:
    """What there is to say of the work, from the database or from a server's ``/health``."""

    todo: int
    doing: int
    stalled: int
    waiting: int
    oldest_due_seconds: float | None
    orphaned_syncs: int
    orphaned_tables: int

    @classmethod
    def of_signs(cls, signs: VitalSigns) -> Self:
        return cls(
            todo=signs.todo,
            doing=signs.doing,
            stalled=signs.stalled,
            waiting=signs.waiting,
            oldest_due_seconds=signs.oldest_due_seconds,
            orphaned_syncs=signs.idle_syncs,
            orphaned_tables=signs.abandoned_tables,
        )

    @classmethod
    def of_health(cls, health: dict[str, Any]) -> Self | None:
        """None where the server's database does not answer."""
        if health["queue"] is None:
            return None
        return cls(
            **{name: health["queue"][name] for name in ("todo", "doing", "stalled", "waiting")},
            oldest_due_seconds=health["oldest_due_seconds"],
            orphaned_syncs=health["orphans"]["syncs"],
            orphaned_tables=health["orphans"]["tables"],
        )


def examine_work(work: Work) -> list[Finding]:
    """The clock, the queue, and what nobody is at work on any more."""
    lag = work.oldest_due_seconds
    orphans = {"syncs": work.orphaned_syncs, "half-made tables": work.orphaned_tables}
    left = ", ".join(f"{count} {what}" for what, count in orphans.items() if count)
    return [
        _finding(
            "clock",
            ok=lag is None or lag < LONGEST_LAG_SECONDS,
            detail="nothing is overdue"
            if lag is None
            else f"overdue for {format_seconds(int(lag))}",
            remedy=_MORE_WORKERS,
        ),
        _finding(
            "queue",
            ok=not work.stalled,
            detail=f"{work.todo} jobs to do, {work.doing} being done, {work.stalled} stalled;"
            f" {work.waiting} runs wait for their account's turn",
            remedy=_LOOK,
        ),
        _finding("left over", ok=not left, detail=left or "nothing", remedy=_LOOK),
    ]


def examine_workspaces(data_dir: Path) -> Finding:
    """Files of workers that are gone."""
    count = len(find_orphaned_workspaces(data_dir / WORKSPACES))
    return _finding(
        "workspaces",
        ok=not count,
        detail=f"{count} of workers that are gone" if count else "none without a worker",
        remedy="The next worker that starts here removes them.",
    )


def examine_children(data_dir: Path) -> Finding:
    """Processes that read files for workers that are gone."""
    count = len(find_orphaned_children(data_dir / WORKSPACES))
    return _finding(
        "reading processes",
        ok=not count,
        detail=f"{count} of workers that are gone" if count else "none without a worker",
        remedy="The next worker that starts here ends them.",
    )


def _finding(subject: str, *, ok: bool, detail: str, remedy: str) -> Finding:
    return Finding(subject, ok=ok, detail=detail, remedy="" if ok else remedy)
