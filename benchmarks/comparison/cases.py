"""What is measured: each case makes its files, lets the contestants take turns, and cleans up."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import pyarrow as pa

from comparison import api_load, clock, files, large, rows
from comparison.bench import Bench
from comparison.contestants import Contestant
from comparison.editions import Edition, write_edition
from comparison.measuring import Measurement, compare_imports, compare_refreshes
from comparison.ours import NotRewrittenError, Ours
from comparison.peers.by_hand import DropAndReload, Floor, TruncateAndCopy
from comparison.peers.dlthub import Dlthub
from comparison.peers.ogr2ogr import Ogr2ogr
from comparison.peers.sha256sum import Sha256sum
from comparison.readers import Reading, read_during
from comparison.targets import Verdict

PACKAGES = Path(__file__).resolve().parents[2] / "node_modules"

SMALL_ROW_COUNT = 1000
USUAL_SHARE = 0.01
OTHER_SHARES = {"0.1 %": 0.001, "10 %": 0.1}
REWRITTEN_SHARE = 0.3
"""More than apply takes for a delta."""

READER_REST_SECONDS = 5.0


@dataclass
class Findings:
    """Everything that a run of the benchmark found."""

    measurements: list[Measurement] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    figures: list[Verdict] = field(default_factory=list)
    """What is measured by itself, against nobody."""
    left_out: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One case as it is asked for."""

    bench: Bench
    folder: Path
    rows: int
    runs: int
    findings: Findings

    def write(
        self,
        version: pa.Table,
        name: str,
        writer: files.Writer,
        *,
        coordinates: tuple[str, str] | None = ("lon", "lat"),
        before: pa.Table | None = None,
    ) -> Edition:
        path = self.folder / name
        return write_edition(version, path, write=writer, coordinates=coordinates, before=before)

    def imports(self, contestants: Sequence[Contestant], edition: Edition, *, case: str) -> None:
        self.findings.measurements += compare_imports(
            self.bench, contestants, edition, case=case, runs=self.runs
        )

    def refreshes(
        self, contestants: Sequence[Contestant], editions: Iterable[Edition], *, case: str
    ) -> None:
        self.findings.measurements += compare_refreshes(
            self.bench, contestants, editions, case=case
        )


class History:
    """Points on a server, version after version; only the newest file is kept."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._number = 0
        self._version = rows.make_points(plan.rows)
        self.newest = plan.write(self._version, "version0.csv", files.write_csv)

    def versions(self, share: float, *, has_peers: bool = False) -> Iterator[Edition]:
        """As many as there are runs, each with ``share`` of the rows changed since the last."""
        for _ in range(self._plan.runs):
            yield self._next(share, has_peers=has_peers)

    def _next(self, share: float, *, has_peers: bool) -> Edition:
        self._number += 1
        before = self._version
        self._version = rows.change(before, share, number=self._number)
        self.newest.path.unlink()
        self.newest = self._plan.write(
            self._version,
            f"version{self._number}.csv",
            files.write_csv,
            before=before if has_peers else None,
        )
        return self.newest


@contextmanager
def plan_case(bench: Bench, findings: Findings, *, rows: int, runs: int) -> Iterator[Plan]:
    """A folder for the files of one case, removed after it."""
    folder = bench.folder / "files"
    folder.mkdir()
    try:
        yield Plan(bench=bench, folder=folder, rows=rows, runs=runs, findings=findings)
    finally:
        shutil.rmtree(folder)


def import_csv(plan: Plan) -> None:
    edition = plan.write(rows.make_points(plan.rows), "points.csv", files.write_csv)
    bench = plan.bench
    floors = [Floor(bench, label=f"floor{count}", connection_count=count) for count in (1, 2)]
    floors[0].prepare(edition)
    ogr2ogr = Ogr2ogr(bench, label="ogr2ogr")
    by_hand = DropAndReload(bench, label="by_hand")
    plan.imports([Ours(bench, label="points"), ogr2ogr, by_hand, *floors], edition, case="csv")


def import_airports(plan: Plan) -> None:
    version = rows.read_airports(PACKAGES, plan.rows // 4)
    places = ("longitude", "latitude")
    edition = plan.write(version, "airports.csv", files.write_csv, coordinates=places)
    _import_with_ogr2ogr(plan, edition, case="airports")


def import_geojson(plan: Plan) -> None:
    version = rows.with_points(rows.make_points(plan.rows // 2))
    edition = plan.write(version, "points.geojson", files.write_geojson)
    _import_with_ogr2ogr(plan, edition, case="geojson")


def import_shapefile(plan: Plan) -> None:
    edition = plan.write(rows.make_polygons(plan.rows // 4), "polygons.zip", files.write_shapefile)
    _import_with_ogr2ogr(plan, edition, case="shapefile")


def import_xlsx(plan: Plan) -> None:
    edition = plan.write(rows.make_points(plan.rows // 10), "points.xlsx", files.write_xlsx)
    _import_with_ogr2ogr(plan, edition, case="xlsx")


def import_small(plan: Plan) -> None:
    edition = plan.write(rows.make_points(SMALL_ROW_COUNT), "small.csv", files.write_csv)
    _import_with_ogr2ogr(plan, edition, case="small")


def refresh(plan: Plan) -> None:
    """1 % of the rows changed, against everybody; other shares and the rewrite by us alone."""
    history = History(plan)
    bench = plan.bench
    ours = Ours(bench, label="points")
    peers: list[Contestant] = [
        Ogr2ogr(bench, label="ogr2ogr"),
        DropAndReload(bench, label="by_hand"),
        TruncateAndCopy(bench, label="truncate"),
        Dlthub(bench, label="dlt_replace", disposition="replace"),
        Dlthub(bench, label="dlt_merge", disposition="merge"),
    ]
    for contestant in (ours, *peers):
        contestant.create(history.newest)
    against_all = history.versions(USUAL_SHARE, has_peers=True)
    plan.refreshes([ours, *peers], against_all, case="refresh 1 %")
    for peer in peers:
        peer.drop()
    for name, share in OTHER_SHARES.items():
        plan.refreshes([ours], history.versions(share), case=f"refresh {name}")
    _rewrite(plan, ours, history, case="rewrite")
    ours.drop()


def refresh_wal(plan: Plan) -> None:
    """The same by us alone, on a cluster that writes the whole log (``wal_level = replica``)."""
    history = History(plan)
    ours = Ours(plan.bench, label="points")
    ours.create(history.newest)
    for name, share in {"1 %": USUAL_SHARE, **OTHER_SHARES}.items():
        plan.refreshes([ours], history.versions(share), case=f"wal {name}")
    _rewrite(plan, ours, history, case="wal rewrite")
    ours.drop()


def refresh_equal(plan: Plan) -> None:
    """The file is fetched again, because its server says that it is new, and is the same."""
    edition = plan.write(rows.make_points(plan.rows), "points.csv", files.write_csv)
    ours = Ours(plan.bench, label="points")
    ours.create(edition)
    plan.refreshes([ours, Sha256sum()], repeat(edition, plan.runs), case="equal")
    ours.drop()


def read_meanwhile(plan: Plan) -> None:
    """Readers beside nothing, a create of another table, deltas, and rewrites."""
    base = rows.make_points(plan.rows)
    first = plan.write(base, "first.csv", files.write_csv)
    changed = {
        "delta 1 %": rows.change(base, USUAL_SHARE, number=1),
        "rewrite": rows.change(base, REWRITTEN_SHARE, number=1),
    }
    if not _can_rewrite(plan, "readers during a rewrite"):
        del changed["rewrite"]
    ours = Ours(plan.bench, label="points")
    ours.create(first)
    _read(plan, ours, lambda: time.sleep(READER_REST_SECONDS), case="nothing", others=set())
    other = Ours(plan.bench, label="others")
    _read(plan, ours, lambda: other.create(first), case="create", others=set())
    other.drop()
    times = plan.runs + plan.runs % 2  # there and back again
    for name, version in changed.items():
        second = plan.write(version, f"{name.split()[0]}.csv", files.write_csv)
        editions, must_rewrite = (first, second), name == "rewrite"
        work = _back_and_forth(ours, editions, times=times, must_rewrite=must_rewrite)
        try:
            _read(plan, ours, work, case=name, others={second.row_count})
        except NotRewrittenError as error:
            plan.findings.left_out.append(f"readers during a rewrite: {error}")
    ours.drop()


CASES: dict[str, Callable[[Plan], None]] = {
    "csv": import_csv,
    "airports": import_airports,
    "geojson": import_geojson,
    "shapefile": import_shapefile,
    "xlsx": import_xlsx,
    "small": import_small,
    "refresh": refresh,
    "equal": refresh_equal,
    "readers": read_meanwhile,
    "wal": refresh_wal,
    "checks": clock.check_unchanged,
    "claim": clock.claim_due,
    "api": api_load.call_under_load,
    "large": large.import_large,
    "sizes": large.import_sizes,
}

SERVER_SETTINGS: dict[str, dict[str, str]] = {
    "wal": {"wal_level": "replica", "max_wal_senders": "10"},
    "claim": {},
}
"""Cases that want a cluster other than the product's own, or one to themselves."""


def _import_with_ogr2ogr(plan: Plan, edition: Edition, *, case: str) -> None:
    ours = Ours(plan.bench, label=case)
    plan.imports([ours, Ogr2ogr(plan.bench, label="ogr2ogr")], edition, case=case)


def _rewrite(plan: Plan, ours: Ours, history: History, *, case: str) -> None:
    """So many rows changed that the whole table is written anew: told only if it really is."""
    if not _can_rewrite(plan, case):
        return
    ours.must_rewrite = True
    try:
        plan.refreshes([ours], history.versions(REWRITTEN_SHARE), case=case)
    except NotRewrittenError as error:
        plan.findings.left_out.append(f"{case}: {error}")
    ours.must_rewrite = False


def _can_rewrite(plan: Plan, case: str) -> bool:
    if importlib.util.find_spec("synctables.importer.apply.rewrite"):
        return True
    plan.findings.left_out.append(f"{case}: this version has no rewrite")
    return False


def _read(
    plan: Plan, ours: Ours, work: Callable[[], object], *, case: str, others: set[int]
) -> None:
    plan.bench.settle()
    plan.findings.readings += read_during(
        plan.bench,
        work,
        case=case,
        table=ours.table.as_string(),
        row_counts={plan.rows, *others},
    )


def _back_and_forth(
    ours: Ours, editions: tuple[Edition, Edition], *, times: int, must_rewrite: bool
) -> Callable[[], None]:
    def work() -> None:
        for number in range(times):
            node = ours.file_node()
            ours.refresh(editions[(number + 1) % 2])
            if must_rewrite and ours.file_node() == node:
                raise NotRewrittenError("apply changed the table in place")

    return work
