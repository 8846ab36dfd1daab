"""``/metrics``: the service in figures, for Prometheus."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from psycopg import Error

from synctables.api.calls import services_of
from synctables.api.problems import problem_response
from synctables.db.pool import UNAVAILABLE
from synctables.syncs.metrics import Measured, measure
from synctables.syncs.totals import Total

if TYPE_CHECKING:
    from synctables.settings import Settings

router = APIRouter(tags=["metrics"])

DATABASE_TIMEOUT_SECONDS = 3.0
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_REFUSAL = (
    "Metrics are for this machine alone, unless SYNCTABLES_METRICS_TOKEN or "
    "SYNCTABLES_METRICS_NETWORKS say otherwise."
)
_TEXT = {"text/plain": {"schema": {"type": "string"}}}


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": _TEXT, "description": "The figures, in Prometheus' own format."},
        401: {"description": "The token is wrong."},
        403: {"description": "Metrics are not for this caller."},
    },
)
async def show_metrics(request: Request) -> Response:
    """The service in figures, for Prometheus: the same from every API process.

    Needs no key of an account; see the settings `SYNCTABLES_METRICS_TOKEN` and
    `SYNCTABLES_METRICS_NETWORKS`.
    """
    services = services_of(request)
    status = refusal_status(request, services.settings)
    if status is not None:
        return problem_response(request.scope["path"], status=status, text=_REFUSAL)
    try:
        async with services.transaction(timeout_seconds=DATABASE_TIMEOUT_SECONDS) as connection:
            measured = await measure(connection, with_accounts=services.settings.metrics_accounts)
    except (Error, *UNAVAILABLE):
        measured = None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(measured, services.pool.get_stats()))
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"Content-Type": content_type})


def refusal_status(request: Request, settings: Settings) -> int | None:
    """Why this caller may not read: 401 or 403; None: it may.

    Behind a proxy the address is the proxy's, so a call that was forwarded needs the token.
    """
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if settings.metrics_token is not None and scheme.lower() == "bearer":
        expected = settings.metrics_token.get_secret_value().encode()
        return None if hmac.compare_digest(shown.strip().encode(), expected) else 401
    is_forwarded = any(name in request.headers for name in _FORWARDED)
    if not is_forwarded and request.client and _is_allowed(request.client.host, settings):
        return None
    return 403


def _is_allowed(host: str, settings: Settings) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in settings.metrics_networks)


class _Families(Collector):
    """One answer's figures as metrics. None: the database does not answer."""

    def __init__(self, measured: Measured | None, pool: Mapping[str, int]) -> None:
        self._measured = measured
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "synctables_database_up",
            "Whether the database answers; without it there is little to tell",
            value=int(self._measured is not None),
        )
        for name in ("pool_size", "pool_available", "requests_waiting"):
            yield GaugeMetricFamily(
                f"synctables_api_{name}",
                "Of the pool of connections of the API process that answers",
                value=self._pool.get(name, 0),
            )
        if self._measured is not None:
            yield from _of_syncs(self._measured)
            yield from _of_work(self._measured)
            yield from _of_totals(self._measured.totals)
            yield from _of_accounts(self._measured)


def _of_syncs(measured: Measured) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "synctables_syncs",
        "Sync tables, as the database estimates them",
        value=measured.estimated_syncs,
    )
    yield GaugeMetricFamily(
        "synctables_due_syncs",
        "Syncs that are due and not claimed yet",
        value=measured.due_syncs,
    )
    yield GaugeMetricFamily(
        "synctables_due_lag_seconds",
        "How long the sync that waits longest for the clock or for a worker does",
        value=float(measured.signs.oldest_due_seconds or 0),
    )
    yield _gauge(
        "synctables_syncs_under_way", "Syncs by state", "state", measured.under_way,
        always=("created", "queued", "syncing"),
    )  # fmt: skip
    yield _gauge(
        "synctables_syncs_failing", "Syncs whose last run failed", "code", measured.failing
    )


def _of_work(measured: Measured) -> Iterator[Metric]:
    yield _gauge(
        "synctables_runs_unfinished",
        "Runs and imports; waiting: for one of the account's others to end",
        "phase",
        measured.runs,
        always=("waiting", "queued", "running"),
    )
    jobs = GaugeMetricFamily("synctables_jobs", "Jobs in the queue", labels=("queue", "status"))
    for row in measured.queues:
        jobs.add_metric((row["queue"], row["status"]), row["value"])
    yield jobs
    yield GaugeMetricFamily(
        "synctables_jobs_stalled",
        "Jobs of workers that gave no sign of life lately",
        value=measured.signs.stalled,
    )
    yield _gauge(
        "synctables_orphans",
        "What nobody is at work on and somebody should be",
        "kind",
        {"syncs": measured.signs.idle_syncs, "tables": measured.signs.abandoned_tables},
    )
    yield from _of_processes(measured)


def _of_processes(measured: Measured) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "synctables_workers_alive",
        "Workers of queues with a fresh heartbeat; a worker process has one for each queue",
        value=measured.signs.workers,
    )
    yield _gauge(
        "synctables_worker_heartbeat_age_seconds", "Since the last sign of life", "worker",
        measured.heartbeat_ages,
    )  # fmt: skip
    connections = GaugeMetricFamily(
        "synctables_database_connections",
        "Connections that this service has, over all its processes",
        labels=("application", "state"),
    )
    for row in measured.connections:
        connections.add_metric((row["application"], row["state"]), row["value"])
    yield connections


def _of_totals(totals: Mapping[Total, Mapping[str, float]]) -> Iterator[Metric]:
    for total, name, text, label in (
        (Total.RUNS, "runs", "Runs of syncs that ended", "outcome"),
        (Total.IMPORTS, "imports", "Plain imports that ended", "outcome"),
        (Total.ERRORS, "run_errors", "Runs and imports that failed", "code"),
        (Total.CHECKS, "checks", "Checks whether a source changed", "outcome"),
        (Total.ROWS, "rows", "Rows of tables", "kind"),
    ):
        family = CounterMetricFamily(f"synctables_{name}", text, labels=(label,))
        for value, count in sorted(totals[total].items()):
            family.add_metric((value,), count)
        yield family
    yield CounterMetricFamily(
        "synctables_imported_bytes",
        "Bytes of files that were imported",
        value=totals[Total.BYTES].get("", 0),
    )
    stages = SummaryMetricFamily(
        "synctables_stage_seconds", "Seconds of runs and imports by stage", labels=("stage",)
    )
    for stage, seconds in sorted(totals[Total.STAGE_SECONDS].items()):
        stages.add_metric((stage,), int(totals[Total.STAGES].get(stage, 0)), seconds)
    yield stages


def _of_accounts(measured: Measured) -> Iterator[Metric]:
    if not measured.accounts:
        return
    for column, text in (
        ("syncs", "Sync tables of the account"),
        ("running", "Runs and imports of the account in the queue or at work"),
        ("waiting", "Runs of the account that wait"),
        ("storage_bytes", "What the account's tables take"),
    ):
        family = GaugeMetricFamily(f"synctables_account_{column}", text, labels=("account", "plan"))
        for row in measured.accounts:
            family.add_metric((row["account"], row["plan"]), row[column])
        yield family


def _gauge(
    name: str,
    text: str,
    label: str,
    values: Mapping[str, float],
    *,
    always: tuple[str, ...] = (),
) -> GaugeMetricFamily:
    """A gauge by one label; values of ``always`` are told as 0 where there are none."""
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, count in sorted({**dict.fromkeys(always, 0), **values}.items()):
        family.add_metric((value,), count)
    return family
