"""Carrying out one batch of checks: every sync is asked about, and only what changed gets a run.

The hosts of a batch are asked side by side, each by a few requests at once. One that wants to be
left alone, or that does not answer at all, is not asked about the rest of its syncs.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict, deque
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from procrastinate import App

from synctables.datasources.base import Datasource, Item, NotModified, SourceVersion
from synctables.errors import (
    DownloadTimeoutError,
    FencedError,
    RunError,
    UnknownError,
    UnknownServerError,
)
from synctables.syncs import repository
from synctables.syncs.check_outcomes import Checked, record_checks
from synctables.syncs.check_rows import Check, Target, begin_check, end_check, hand_back_check
from synctables.syncs.outcomes import Outcome, OutcomeKind, failure
from synctables.syncs.runs import MOST_ATTEMPTS, Workshop
from synctables.syncs.turns import start_runs

FLUSH_SECONDS = 2.0
"""What was found is recorded this often, so that a slow source does not hold up the others."""
SILENT_AFTER = 6
"""So many syncs of a host in a row without an answer, and it counts as down."""
BELIEVED = 2
"""So many accounts have to be sent away by a host before it counts as wanting to be left alone: one
account's pages may be made to say so."""
LEFT_ALONE_FOR_OTHERS = timedelta(minutes=15)
SILENCE_FOR_OTHERS = timedelta(minutes=1)
"""A host may send one account away for a day, or be silent to it; what others have there is put off
and not for long. Else whoever can make some pages of a host do so would stop everybody's."""

_SILENCE = (UnknownServerError, DownloadTimeoutError)
_UNCHANGED = Outcome(kind=OutcomeKind.NOT_MODIFIED, message="The source has not changed.")

log = structlog.get_logger(__name__)


async def carry_out_check(check_id: UUID, workshop: Workshop, jobs_app: App) -> None:
    """Carry the batch out and record what was found. One that has ended is left alone.

    Raises only what makes the job itself fail: a lost database, or being called off.
    """
    async with workshop.pool.connection() as connection:
        check = await begin_check(connection, check_id)
    if check is None:
        return
    with structlog.contextvars.bound_contextvars(check_id=str(check_id)):
        try:
            await _Round(check, workshop, jobs_app).go()
        except FencedError as error:
            log.warning("check_fenced", reason=str(error))


class _Round:
    """One attempt at a batch."""

    def __init__(self, check: Check, workshop: Workshop, jobs_app: App) -> None:
        self._check = check
        self._workshop = workshop
        self._jobs_app = jobs_app
        self._found: list[Checked] = []
        self._counts = {"unchanged": 0, "changed": 0, "failed": 0, "put_off": 0}

    async def go(self) -> None:
        asking = {asyncio.create_task(one) for one in self._askers()}
        try:
            while asking:
                done, asking = await asyncio.wait(asking, timeout=FLUSH_SECONDS)
                for task in done:
                    task.result()
                await self._record()
        except asyncio.CancelledError:
            await self._hand_back(asking)
            raise
        finally:
            for task in asking:
                task.cancel()
        async with self._workshop.pool.connection() as connection:
            await end_check(connection, self._check)
        log.info("check_ended", **self._counts)

    def _askers(self) -> list[Coroutine[Any, Any, None]]:
        if self._check.attempt_count > MOST_ATTEMPTS:
            # Something in it ends workers: a run of each says of which.
            self._found = [Checked(sync_id=target.sync_id) for target in self._check.targets]
            return [asyncio.sleep(0)]
        lanes: dict[str, list[Target]] = defaultdict(list)
        for target in in_turns(self._check.targets):
            lanes[target.lane].append(target)
        at_once = self._workshop.settings.connections_per_host
        return [
            self._ask_lane(lane)
            for lane in [Lane(name=name, targets=deque(of)) for name, of in lanes.items()]
            for _ in range(min(at_once, len(lane.targets)))
        ]

    async def _ask_lane(self, lane: Lane) -> None:
        while lane.targets:
            target = lane.targets.popleft()
            answer = await self._ask(lane, target)
            self._found += [_checked(target, answer), *lane.give_up_after(target, answer)]

    async def _ask(self, lane: Lane, target: Target) -> Item | NotModified | RunError:
        try:
            # The time that it waits for its turn is none that its source took.
            async with (
                self._workshop.check_slots,
                asyncio.timeout(self._workshop.settings.check_timeout_seconds),
            ):
                datasource = self._open(lane, target)
                return await datasource.probe(target.source.item, known=target.version)
        except RunError as error:
            return error
        except TimeoutError:
            return DownloadTimeoutError(f"{target.lane} did not say in time whether it changed.")
        except Exception as error:  # recorded, as every end of a check is
            log.exception("check_failed_unforeseen", sync_id=str(target.sync_id))
            return UnknownError(type(error).__name__)

    def _open(self, lane: Lane, target: Target) -> Datasource:
        if lane.datasource is None:
            lane.datasource, _ = self._workshop.open_source(
                target.source, account_id=target.account_id, http=self._workshop.check_http
            )
        return lane.datasource

    async def _record(self) -> None:
        """Write what was found since the last time; what has changed gets its run with it."""
        found, self._found = self._found, []
        if not found:
            return
        async with self._workshop.pool.connection() as connection:
            changed = await record_checks(
                connection, self._check, found, now=await repository.read_clock(connection)
            )
            if changed:
                syncs = await repository.get_syncs(connection, changed)
                await start_runs(
                    connection,
                    self._jobs_app,
                    syncs,
                    at_once=self._workshop.settings.runs_per_account,
                )
        for one in found:
            self._counts[_word(one)] += 1

    async def _hand_back(self, asking: set[asyncio.Task[None]]) -> None:
        """A shutdown: what was found holds, the rest is the next worker's."""
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        await self._record()
        async with self._workshop.pool.connection() as connection:
            await hand_back_check(connection, self._check)
        log.info("check_handed_back", **self._counts)


@dataclass(kw_only=True)
class Lane:
    """What of a batch leads to one host."""

    name: str
    targets: deque[Target]
    silent_count: int = 0
    sent_away: set[UUID] = field(default_factory=set)
    """Accounts that the host told when to come again."""
    datasource: Datasource | None = None

    def give_up_after(self, target: Target, answer: Item | NotModified | RunError) -> list[Checked]:
        """What an answer means for those that were not asked about yet: mostly nothing."""
        if pause := getattr(answer, "retry_after_seconds", None):
            return self._leave_alone(target, timedelta(seconds=pause))
        if not isinstance(answer, _SILENCE):
            self.silent_count = 0
            return []
        self.silent_count += 1
        if self.silent_count < SILENT_AFTER:
            return []
        message = f"{self.name} answered none of the last {self.silent_count} checks."
        return [
            Checked(sync_id=one.sync_id, outcome=failure(type(answer)(message)))
            if is_own
            else Checked(sync_id=one.sync_id, put_off=SILENCE_FOR_OTHERS)
            for one, is_own in self._take_rest(target)
        ]

    def _leave_alone(self, asked: Target, pause: timedelta) -> list[Checked]:
        self.sent_away.add(asked.account_id)
        rest = self._take_rest(asked)
        if len(self.sent_away) < BELIEVED:
            self.targets.extend(one for one, is_own in rest if not is_own)
            rest = [(one, is_own) for one, is_own in rest if is_own]
        return [
            Checked(
                sync_id=one.sync_id, put_off=pause if is_own else min(pause, LEFT_ALONE_FOR_OTHERS)
            )
            for one, is_own in rest
        ]

    def _take_rest(self, asked: Target) -> list[tuple[Target, bool]]:
        """What was not asked about yet, and whether it is of the same account."""
        rest = [(one, one.account_id == asked.account_id) for one in self.targets]
        self.targets.clear()
        return rest


def in_turns(targets: Iterable[Target]) -> list[Target]:
    """One of each account, then the next of each: nobody's crowd speaks for a host alone.

    In no order of its own otherwise, or one slow page would condemn its host each time.
    """
    shuffled = list(targets)
    random.shuffle(shuffled)
    lines: Counter[UUID] = Counter()
    placed = []
    for target in shuffled:
        placed.append((lines[target.account_id], target))
        lines[target.account_id] += 1
    return [target for _, target in sorted(placed, key=lambda one: one[0])]


def _checked(target: Target, answer: Item | NotModified | RunError) -> Checked:
    if isinstance(answer, RunError):
        return Checked(sync_id=target.sync_id, outcome=failure(answer))
    if isinstance(answer, NotModified) or is_same(answer.version, target.version):
        return Checked(sync_id=target.sync_id, outcome=_UNCHANGED)
    return Checked(sync_id=target.sync_id)


def is_same(now: SourceVersion, known: SourceVersion) -> bool:
    """Whether a source that ignored the question describes the very version that is known.

    Only what tells every byte counts (RFC 9110 section 8.8.1): a strong ETag, or a service's name
    for a version.
    """
    if known.revision:
        return now.revision == known.revision
    return known.etag is not None and now.etag == known.etag and known.etag.startswith('"')


def _word(checked: Checked) -> str:
    if checked.put_off is not None:
        return "put_off"
    if checked.outcome is None:
        return "changed"
    return "unchanged" if checked.outcome.is_success else "failed"
