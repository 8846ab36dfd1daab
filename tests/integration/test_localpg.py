"""The private cluster: made once, found again after every kind of end, and never in the way."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import errors

from synctables.accounts.seal import add_key, key_file
from synctables.errors import ConfigurationError
from synctables.localpg import LocalCluster, find_binaries, local_database_url
from synctables.localpg.directory import DatabaseUser, DataDirectory
from synctables.settings import load_settings
from tests.support.scratch import short_directory

AS_ROOT = os.geteuid() == 0
QUICK = {"fsync": "off", "shared_buffers": "16MB"}

# A `synctables serve` that is killed as soon as its cluster is up.
START_AND_DIE = """
import os, pathlib, signal, sys
from synctables.localpg import LocalCluster
LocalCluster(pathlib.Path(sys.argv[1]), server_settings={"fsync": "off"}).start()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def made_dir() -> Iterator[Path]:
    """A data directory whose cluster exists; every test here leaves it stopped and whole."""
    with short_directory() as place:
        quick(place).start_and_stop()
        yield place


class quick(LocalCluster):  # noqa: N801 - reads as a call
    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, server_settings=QUICK)

    def start_and_stop(self) -> None:
        with self:
            pass


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres/postmaster.pid").read_text().split("\n", 1)[0])


def die_while_running(data_dir: Path) -> int:
    """Leave a cluster behind whose `serve` was killed; returns the pid of its postmaster."""
    done = subprocess.run([sys.executable, "-c", START_AND_DIE, str(data_dir)], check=False)
    assert done.returncode == -signal.SIGKILL
    return postmaster_pid(data_dir)


def query(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


# --- a fresh start ----------------------------------------------------------------------------


def test_a_first_start_gives_an_owner_with_postgis_who_is_no_superuser(made_dir: Path) -> None:
    with quick(made_dir) as cluster, psycopg.connect(cluster.database_url) as connection:
        found = connection.execute(
            "SELECT r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb,"
            " d.datdba = r.oid, pg_encoding_to_char(d.encoding), postgis_lib_version() > '3.2',"
            " lower('Ä') = 'ä'"
            " FROM pg_roles r, pg_database d"
            " WHERE r.rolname = current_user AND d.datname = current_database()"
        ).fetchone()
        assert found == ("synctables", False, True, False, True, "UTF8", True, True)


def test_the_owner_creates_schemas_and_roles_that_may_be_granted(made_dir: Path) -> None:
    with quick(made_dir) as cluster, psycopg.connect(cluster.database_url) as connection:
        connection.execute("CREATE SCHEMA alice")
        connection.execute("CREATE ROLE alice_reader LOGIN CONNECTION LIMIT 5")
        connection.execute("ALTER ROLE alice_reader SET statement_timeout = '5s'")
        connection.execute("GRANT USAGE ON SCHEMA alice TO alice_reader")
        connection.rollback()


def test_every_part_of_the_data_directory_has_its_owner_and_mode(made_dir: Path) -> None:
    user = DatabaseUser.for_cluster(DataDirectory.at(made_dir))
    own = os.geteuid()
    expected = {
        ".": (own, 0o751),
        "postgres": (user.uid, 0o700),
        "run": (user.uid, 0o750),
        "secrets": (own, 0o700),
        "secrets/postgres": (own, 0o600),
        "secrets/synctables": (own, 0o600),
        "workspaces": (own, 0o711),
        "postgres.log": (own, 0o600),
    }
    found = {name: (made_dir / name).stat() for name in expected}
    assert {n: (s.st_uid, stat.S_IMODE(s.st_mode)) for n, s in found.items()} == expected
    assert {entry.name for entry in (made_dir / "run").iterdir()} == set()  # no password is left


def test_a_path_with_odd_characters_works_for_psql_too(short_dir: Path) -> None:
    with quick(short_dir / "a b%ä'\"&?#") as cluster:
        done = subprocess.run(
            ["psql", cluster.database_url, "-Atqc", "SELECT 1"],
            env={**os.environ, "PGPORT": "6543"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_wrong_password_is_refused_on_the_socket(made_dir: Path) -> None:
    with quick(made_dir) as cluster:
        wrong = cluster.database_url.replace("//synctables:", "//synctables:x")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


def test_the_server_listens_on_no_port_and_ignores_the_terminal(made_dir: Path) -> None:
    with quick(made_dir) as cluster:
        assert query(cluster.superuser_url(), "SHOW listen_addresses") == ""
        assert os.getsid(postmaster_pid(made_dir)) != os.getsid(0)


def test_no_statement_that_failed_reaches_the_log(made_dir: Path) -> None:
    with quick(made_dir) as cluster, psycopg.connect(cluster.database_url) as connection:
        with pytest.raises(errors.UndefinedObject):
            connection.execute("ALTER ROLE nobody_there PASSWORD 'visible-secret'")
        connection.rollback()
    log = (made_dir / "postgres.log").read_text()
    assert "nobody_there" in log
    assert "visible-secret" not in log


# --- ends, and what comes after ---------------------------------------------------------------


def test_a_stop_ends_open_sessions_and_a_second_start_finds_the_data(made_dir: Path) -> None:
    with quick(made_dir) as cluster:
        query(cluster.database_url, "CREATE TABLE kept (n int)")
        left_open = psycopg.connect(cluster.database_url)
        left_open.execute("LOCK TABLE kept")
    left_open.close()
    assert not cluster.is_running()
    with quick(made_dir) as cluster:
        query(cluster.database_url, "DROP TABLE kept")


def test_a_second_serve_on_the_same_directory_names_the_first(made_dir: Path) -> None:
    with (
        quick(made_dir) as cluster,
        pytest.raises(ConfigurationError, match=rf"process {os.getpid()}\b.*--data-dir"),
    ):
        quick(made_dir).start()
    assert not cluster.is_running()


def test_a_cluster_that_outlived_its_serve_is_taken_over_and_stopped(made_dir: Path) -> None:
    survivor = die_while_running(made_dir)
    with quick(made_dir) as cluster:
        assert postmaster_pid(made_dir) == survivor
        assert query(cluster.database_url, "SELECT 1") == 1
    assert not psutil.pid_exists(survivor) or psutil.Process(survivor).status() == "zombie"


def test_after_a_killed_server_committed_rows_are_there(made_dir: Path) -> None:
    with quick(made_dir) as cluster:
        query(cluster.database_url, "CREATE TABLE kept (n int)")
        os.kill(postmaster_pid(made_dir), signal.SIGKILL)
    with quick(made_dir) as cluster:
        query(cluster.database_url, "DROP TABLE kept")


def test_a_statement_of_a_dead_server_does_not_keep_the_next_from_starting(made_dir: Path) -> None:
    busy = "SELECT count(*) FROM generate_series(1, 10000000000)"
    with quick(made_dir) as cluster:
        session = psycopg.connect(cluster.database_url)
        backend = psutil.Process(session.info.backend_pid)
        session.pgconn.send_query(busy.encode())
        os.kill(postmaster_pid(made_dir), signal.SIGKILL)
        session.close()
    with quick(made_dir) as cluster:
        assert query(cluster.database_url, "SELECT 1") == 1
    assert not backend.is_running() or backend.status() == "zombie"


def test_a_pid_file_whose_number_now_belongs_to_another_process_is_removed(made_dir: Path) -> None:
    user = DatabaseUser.for_cluster(DataDirectory.at(made_dir))
    pid_file = made_dir / "postgres/postmaster.pid"
    with subprocess.Popen(["sleep", "60"], **user.as_process()) as innocent:
        pid_file.write_text(
            f"{innocent.pid}\n{made_dir}/postgres\n1\n5432\n{made_dir}/run\n\n1 1\n"
        )
        try:
            quick(made_dir).start_and_stop()
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_an_interrupted_first_start_is_made_good_by_the_next(short_dir: Path) -> None:
    data_dir = short_dir / "data"
    DataDirectory.at(data_dir).prepare(DatabaseUser.for_cluster(DataDirectory.at(data_dir)))
    (data_dir / "postgres.new").mkdir()
    (data_dir / "postgres.new/PG_VERSION").write_text("15\n")
    (data_dir / "run/initdb-password").write_text("left behind")
    (data_dir / "secrets/postgres.new").write_text("half")
    with quick(data_dir) as cluster:
        query(cluster.superuser_url(), "DROP DATABASE synctables")
    with quick(data_dir) as cluster:
        assert query(cluster.database_url, "SELECT postgis_lib_version() > '3'") is True


# --- refusals ---------------------------------------------------------------------------------


def test_what_keeps_the_server_from_starting_is_quoted_from_its_log(made_dir: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"did not start.*\n.*no_such_setting"):
        LocalCluster(made_dir, server_settings={"no_such_setting": "1"}).start()
    quick(made_dir).start_and_stop()


def test_lost_passwords_are_named(made_dir: Path) -> None:
    secret = made_dir / "secrets/postgres"
    kept = secret.read_text()
    secret.write_text("another")
    try:
        with pytest.raises(
            ConfigurationError, match=r"does not accept the passwords in .*/secrets"
        ):
            quick(made_dir).start()
    finally:
        secret.write_text(kept)
    quick(made_dir).start_and_stop()


def test_keys_of_a_service_with_a_database_elsewhere_are_no_other_things(short_dir: Path) -> None:
    keys = key_file(load_settings(data_dir=short_dir))
    add_key(keys)
    before = keys.read_text()
    quick(short_dir).start_and_stop()
    assert keys.read_text() == before


def test_a_directory_that_holds_other_things_is_left_alone(short_dir: Path) -> None:
    (short_dir / "thesis.tex").touch()
    with pytest.raises(ConfigurationError, match=r"holds other things \(thesis.tex"):
        quick(short_dir).start()
    assert stat.S_IMODE(short_dir.stat().st_mode) == 0o755
    assert [entry.name for entry in short_dir.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("d" * 90, r"is too deep: .* 107 are allowed"),
        ("ä" * 45, r"is too deep"),
        ("a,b", r"may not have a comma"),
    ],
)
def test_a_path_that_no_socket_can_have_is_refused(
    short_dir: Path, name: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        quick(short_dir / name).start()
    assert list(short_dir.iterdir()) == []


@pytest.mark.skipif(not AS_ROOT, reason="an ordinary user runs the server itself")
def test_a_parent_that_the_database_user_may_not_enter_is_named(short_dir: Path) -> None:
    closed = short_dir / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConfigurationError, match=rf"may not enter {closed}, .*chmod o\+x {closed}"):
        quick(closed / "data").start()


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_refused(short_dir: Path) -> None:
    short_dir.chmod(0o500)
    with pytest.raises(ConfigurationError, match="cannot be prepared: Permission denied"):
        quick(short_dir / "data").start()


def test_a_cluster_of_a_version_that_is_not_installed_says_so(short_dir: Path) -> None:
    (short_dir / "postgres").mkdir()
    (short_dir / "postgres/PG_VERSION").write_text("9.6\n")
    with pytest.raises(ConfigurationError, match=r"made by PostgreSQL 9, but only .* is installed"):
        quick(short_dir).start()


# --- the address for others -------------------------------------------------------------------


def test_the_address_can_be_read_while_the_cluster_runs_and_only_then(
    made_dir: Path, short_dir: Path
) -> None:
    with quick(made_dir) as cluster:
        assert local_database_url(made_dir) == cluster.database_url
    for stopped in (made_dir, short_dir, short_dir / "nowhere"):
        with pytest.raises(ConfigurationError, match="Start `synctables serve` first"):
            local_database_url(stopped)


def test_the_installed_server_is_found_with_postgis() -> None:
    assert find_binaries().has_postgis
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 9"):
        find_binaries(major=9)
