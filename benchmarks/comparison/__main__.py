"""`make bench`: run the cases that are asked for, and write the results.

python benchmarks/comparison [--rows 2000000] [--runs 5] [--only csv,refresh] [--into FOLDER]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "scripts")]

import psycopg  # noqa: E402  # as all that follows: found by the line above

from comparison.bench import Bench, open_bench  # noqa: E402
from comparison.cases import CASES, SERVER_SETTINGS, Findings, plan_case  # noqa: E402
from comparison.digests import UnequalTableError  # noqa: E402
from comparison.machine import FULL_ROWS, FULL_RUNS, describe_machine, describe_run, doubts  # noqa: E402
from comparison.ours import Ours, RunFailedError  # noqa: E402
from comparison.peers.dlthub import PYTHON  # noqa: E402
from comparison.readers import WrongReadError  # noqa: E402
from comparison.table import write_page  # noqa: E402
from comparison.targets import judge  # noqa: E402
from demonstration.service import ServiceError  # noqa: E402

FAILURES = (
    ServiceError,
    RunFailedError,
    UnequalTableError,
    WrongReadError,
    subprocess.SubprocessError,
    psycopg.Error,
)
"""What may end one case and lets the others go on."""

FEWEST_ROWS = 10_000
"""Of fewer, a tenth of them in a spreadsheet would be no measurement."""


def main() -> int:
    """Returns the exit code: 0 where everything asked for was measured."""
    asked = _parse_arguments()
    findings = Findings(doubts=doubts(rows=asked.rows, runs=asked.runs))
    facts: dict[str, dict[str, str]] = {
        "run": describe_run(rows=asked.rows, runs=asked.runs),
        "machine": {},
    }
    has_failed = False
    for server_settings, names in _by_server(asked.only):
        with open_bench(asked.work_dir, server_settings=server_settings) as bench:
            facts["machine"] = facts["machine"] or describe_machine(bench)
            _warm_up(bench)
            for name in names:
                has_failed |= not _try_case(bench, findings, name, rows=asked.rows, runs=asked.runs)
                # After each: hours of measuring are not lost to whatever comes next.
                _write_results(findings, facts, into=asked.into)
    _say((asked.into / "results.md").read_text(encoding="utf-8"))
    return 1 if has_failed else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=FULL_ROWS, help="of the largest files")
    parser.add_argument("--runs", type=int, default=FULL_RUNS, help="of everybody who is not slow")
    parser.add_argument("--only", type=_names, default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--into", type=Path, default=ROOT / "benchmarks/results")
    parser.add_argument(
        "--work-dir", type=Path, default=Path("/var/tmp"), help="on a disk, with room for 10 GB"
    )
    asked = parser.parse_args()
    if asked.rows < FEWEST_ROWS or asked.runs < 1:
        parser.error(f"--rows is at least {FEWEST_ROWS}, --runs at least 1")
    return asked


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = sorted(set(names) - set(CASES))
    if unknown:
        raise argparse.ArgumentTypeError(f"no such case: {', '.join(unknown)}")
    return [name for name in CASES if name in names]


def _by_server(names: Sequence[str]) -> list[tuple[Mapping[str, str], list[str]]]:
    """The cases of the product's own cluster first, then those that want another one."""
    usual = [name for name in names if name not in SERVER_SETTINGS]
    others = [(SERVER_SETTINGS[name], [name]) for name in names if name in SERVER_SETTINGS]
    return [*([({}, usual)] if usual else []), *others]


def _warm_up(bench: Bench) -> None:
    """One small file that is not measured: nobody's usual service has only just started."""
    with plan_case(bench, Findings(), rows=FEWEST_ROWS, runs=1) as plan:
        CASES["small"](plan)


def _try_case(bench: Bench, findings: Findings, name: str, *, rows: int, runs: int) -> bool:
    """True where the case was measured; else the results say why not."""
    try:
        _run_case(bench, findings, name, rows=rows, runs=runs)
    except FAILURES as error:
        findings.left_out.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())}")
        _say(f"FAILED {findings.left_out[-1]}")
        return False
    return True


def _run_case(bench: Bench, findings: Findings, name: str, *, rows: int, runs: int) -> None:
    began_at = time.monotonic()
    count, figure_count = len(findings.measurements), len(findings.figures)
    with plan_case(bench, findings, rows=rows, runs=runs) as plan:
        CASES[name](plan)
    for figure in findings.figures[figure_count:]:
        _say(f"    {figure.what}: {figure.measured} (wanted: {figure.wanted})")
    for one in findings.measurements[count:]:
        mark = "*" if one.who == Ours.name else " "
        _say(
            f"  {mark} {one.case:<14} {one.who:<34} {one.seconds:8.2f} s"
            f" {one.wal_bytes / 1e6:9.1f} MB of WAL"
        )
    _say(f"{name}: {time.monotonic() - began_at:.0f} s in all")


def _write_results(findings: Findings, facts: dict[str, dict[str, str]], *, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    verdicts = [*judge(findings.measurements, findings.readings), *findings.figures]
    results = {
        **facts,
        "targets": [asdict(one) for one in verdicts],
        "measurements": [one.as_json() for one in findings.measurements],
        "readings": [asdict(one) for one in findings.readings],
        "doubts": findings.doubts,
        "left_out": findings.left_out,
    }
    path = into / "results.json"
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = write_page(findings, verdicts, run=facts["run"], machine=facts["machine"])
    (into / "results.md").write_text(page, encoding="utf-8")
    if findings.measurements:
        plot = Path(__file__).with_name("plot.py")
        subprocess.run([str(PYTHON), str(plot), str(path), str(into / "plot.png")], check=True)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
