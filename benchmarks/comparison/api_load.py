"""The API under load: calls that come at a fixed rate, whether or not the last one was answered."""

from __future__ import annotations

import asyncio
import statistics
import time
from itertools import cycle
from typing import TYPE_CHECKING

import aiohttp

from comparison import files, rows
from comparison.ours import Ours
from comparison.targets import Verdict

if TYPE_CHECKING:
    from comparison.cases import Plan
    from demonstration.service import Service

SYNCS = 20
CALLS_A_SECOND = 200
SECONDS = 20
WARM_UP_SECONDS = 2
"""Calls that are not counted: nobody's usual service opens its connections with the first one."""
MOST_MILLISECONDS = 50.0
"""Of the slowest but one in a hundred."""

_SYNCS = "/api/v1/synchronizations"


def call_under_load(plan: Plan) -> None:
    """A third each of list, show and sync_now, by one account with 20 sync tables.

    The files never change: a sync_now that is taken costs the worker a run that ends with 304.
    """
    edition = plan.write(rows.make_points(1_000), "small.csv", files.write_csv)
    ours = [Ours(plan.bench, label=f"loaded{number}") for number in range(SYNCS)]
    for one in ours:
        one.create(edition)
    plan.bench.settle()
    service = plan.bench.service
    sync_ids = [one.sync_id for one in ours]
    asyncio.run(_call(service, sync_ids, seconds=WARM_UP_SECONDS))
    found = asyncio.run(_call(service, sync_ids, seconds=SECONDS))
    for one in ours:
        one.drop()
    for name, seconds in found.items():
        hundredths = statistics.quantiles(seconds, n=100)
        p50, p99 = hundredths[49] * 1000, hundredths[98] * 1000
        plan.findings.figures.append(
            Verdict(
                what=f"API under load, {CALLS_A_SECOND} calls a second: {name}",
                wanted=f"p99 < {MOST_MILLISECONDS:.0f} ms",
                measured=f"p99 {p99:.0f} ms, p50 {p50:.1f} ms",
                is_reached=p99 < MOST_MILLISECONDS,
            )
        )


async def _call(service: Service, sync_ids: list[str], *, seconds: int) -> dict[str, list[float]]:
    """Seconds from when each call was due to its answer, whole, by kind of call."""
    found: dict[str, list[float]] = {"list": [], "show": [], "sync_now": []}
    some = cycle(sync_ids)

    async def one(name: str, due_at: float) -> None:
        path = {"list": _SYNCS, "show": f"{_SYNCS}/{next(some)}"}.get(name)
        method = "GET" if path else "PUT"
        path = path or f"{_SYNCS}/{next(some)}/sync_now"
        async with session.request(method, service.address + path) as answer:
            await answer.read()
            answer.raise_for_status()
        found[name].append(time.perf_counter() - due_at)

    headers = {"Authorization": f"Bearer {service.api_key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        began_at = time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for number, name in zip(range(CALLS_A_SECOND * seconds), cycle(found), strict=False):
                due_at = began_at + number / CALLS_A_SECOND
                await asyncio.sleep(due_at - time.perf_counter())
                calls.create_task(one(name, due_at))
    return found
