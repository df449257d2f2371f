"""What is wrong with this installation or its running stack, and how to mend it."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from spine.db import head_revision, revision_of
from spine.errors import Misconfigured
from spine.settings import Settings
from spine.stack import postgres, probes, temporal_server
from spine.stack.options import DEFAULT_PORTS
from spine.stack.orphans import is_alive, read_processes, supervisor_pid
from spine.stack.parts import TASK_QUEUE
from spine.stack.ports import holder, is_free

_DISK_NEEDED = 2_000_000_000  # bytes: databases, logs and datasets of a few days of development
_SKEW_ALLOWED = timedelta(seconds=2)
_HORIZON_ALLOWED = timedelta(seconds=5)  # an event is invisible to every reader for as long as the oldest writer runs
_UNKNOWN_ALLOWED = timedelta(minutes=15)  # asking the provider again settles an effect within minutes of its return
_POLL_ALLOWED = timedelta(seconds=90)  # a worker asks again after at most a minute


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # works, but not as you may expect
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    check: str
    level: Level
    detail: str
    cure: str = ""  # what to do about it; empty only when all is well


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings, cheapest first; each check takes at most a few seconds, also when nothing answers."""
    yield python_version()
    yield _binary("PostgreSQL", lambda: postgres.binaries() / "bin" / "postgres")
    yield _binary("Temporal", temporal_server.binary)
    yield disk(settings.home)
    yield from stack_processes(settings.home)
    if settings.database_url is None:
        if supervisor_pid(settings.home) is None:
            yield default_ports()
        return
    problem = probes.database_problem(settings.database_url.get_secret_value())
    if problem:
        cure = "start the stack with `spine up`, or mend SPINE_DATABASE_URL"
        yield Finding(check="database", level=Level.PROBLEM, detail=problem, cure=cure)
    else:
        yield Finding(check="database", level=Level.OK, detail="role spine_app connects")
        yield clock_skew(settings.database_url.get_secret_value())
        if settings.database_owner_url is not None:
            yield migrations(settings.database_owner_url.get_secret_value())
            yield safe_horizon(settings.database_owner_url.get_secret_value())
        yield from left_to_people(settings)
    yield from temporal(settings)
    for name, url, path in (("dagster", settings.dagster_url, "/server_info"), ("gateway", settings.gateway_url, "/health")):
        if url:
            yield _http(name, url, path)


def python_version() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 15)
    cure = "use a Python from 3.11 to 3.14: `rm -r .venv`, then `make up PYTHON=python3.12`"
    return Finding(check="python", level=Level.OK if fits else Level.PROBLEM, detail=found, cure="" if fits else cure)


def disk(home: Path) -> Finding:
    place = next(folder for folder in (home.absolute(), *home.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / 1e9:.1f} GB free at {str(place)!r}"
    if free >= _DISK_NEEDED:
        return Finding(check="disk", level=Level.OK, detail=detail)
    return Finding(check="disk", level=Level.WARNING, detail=detail, cure="free some space, or set SPINE_HOME to a place that has 2 GB")


def default_ports() -> Finding:
    taken = [f"{port} ({name}) by {holder(port)}" for name, port in DEFAULT_PORTS.items() if not is_free(port)]
    if not taken:
        return Finding(check="ports", level=Level.OK, detail="all default ports are free")
    cure = "end the holder, or start with `spine up --ports auto`"
    return Finding(check="ports", level=Level.WARNING, detail=f"taken: {', '.join(taken)}", cure=cure)


def stack_processes(home: Path) -> Iterator[Finding]:
    pid, rows = supervisor_pid(home), read_processes(home)
    living = [row for row in rows if is_alive(row)]
    if pid is None and living:
        names = ", ".join(row["name"] for row in living)
        detail = f"the supervisor was killed and left running: {names}"
        yield Finding(check="stack", level=Level.PROBLEM, detail=detail, cure="`spine down` ends them, and so does the next `spine up`")
    elif pid is None:
        yield Finding(check="stack", level=Level.WARNING, detail=f"none runs in {str(home)!r}", cure="`spine up` starts one")
    else:
        down = [f"{row['name']} ({row['state']}{': ' if row['note'] else ''}{row['note']})" for row in rows if row["state"] in _UNWELL]
        if down:
            cure = f"read {str(home / 'logs')!r}; `spine down` and `spine up` start afresh"
            yield Finding(check="stack", level=Level.PROBLEM, detail=f"not up: {', '.join(down)}", cure=cure)
        else:
            yield Finding(check="stack", level=Level.OK, detail=f"{len(living)} processes under pid {pid}")


_UNWELL = ("waiting", "starting", "restarting", "failed")


def clock_skew(url: str) -> Finding:
    before = datetime.now(UTC)
    with psycopg.connect(url, connect_timeout=3) as connection:
        asked = datetime.now(UTC)
        row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None, "a select without a table has one row"
    skew = abs(row[0] - (asked + (datetime.now(UTC) - asked) / 2))
    detail = f"the database's clock differs by {skew.total_seconds():.3f} s ({before:%H:%M:%S} here)"
    if skew <= _SKEW_ALLOWED:
        return Finding(check="clock", level=Level.OK, detail=detail)
    return Finding(
        check="clock", level=Level.PROBLEM, detail=detail, cure="set both machines' clocks by NTP: expiry and leases compare them"
    )


def migrations(owner_url: str) -> Finding:
    try:
        found = revision_of(owner_url)
    except Exception as error:  # noqa: BLE001  SQLAlchemy wraps every driver's errors; whatever it is, it is the finding
        cure = "check SPINE_DATABASE_OWNER_URL: its role must own the schema"
        return Finding(check="migrations", level=Level.PROBLEM, detail=str(error).splitlines()[0], cure=cure)
    expected = head_revision()
    if found == expected:
        return Finding(check="migrations", level=Level.OK, detail=f"at {found}")
    detail = f"the database is at {found or 'nothing'}, this version expects {expected}"
    return Finding(check="migrations", level=Level.PROBLEM, detail=detail, cure="`python -m spine.stack.migrate spine`, or `spine up`")


def left_to_people(settings: Settings) -> Iterator[Finding]:
    """What nobody tries again by himself, of the tenant that this home acts for; nothing while the tables are not there."""
    assert settings.database_url is not None, "asked only of a database that answers"
    with psycopg.connect(settings.database_url.get_secret_value(), connect_timeout=3, row_factory=dict_row) as connection:
        connection.execute("select set_config('spine.tenant_id', %s, true)", (settings.tenant,))
        try:
            open_letters = "select plane, count(*) as n from dead_letters where state = 'open' group by plane order by plane"
            planes = connection.execute(open_letters).fetchall()
            started = connection.execute("select started_at from effects where state = 'unknown'").fetchall()
        except psycopg.errors.UndefinedTable:
            return
    if planes:
        counts = ", ".join(f"{row['n']} of plane {row['plane']}" for row in planes)
        detail = f"open in tenant {settings.tenant!r}: {counts}"
        yield Finding(check="dead letters", level=Level.WARNING, detail=detail, cure="`spine dead-letters list` shows them")
    clock = settings.business_clock()
    late = sum(clock.real(clock.now() - row["started_at"]) > _UNKNOWN_ALLOWED for row in started)
    if late:
        minutes = f"{_UNKNOWN_ALLOWED.total_seconds() / 60:.0f} minutes"
        detail = f"{late} of tenant {settings.tenant!r} unknown for over {minutes}: they may have happened"
        yield Finding(check="effects", level=Level.WARNING, detail=detail, cure="`spine intents list --state unknown`, then ask there")


def safe_horizon(url: str) -> Finding:
    """The backend that holds it back: no reader sees an event that is younger than the oldest transaction that writes, anywhere."""
    query = """
        select pid, usename, datname, application_name, state, clock_timestamp() - xact_start as age
        from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid() order by xact_start limit 1"""
    with psycopg.connect(url, connect_timeout=3, row_factory=dict_row) as connection:
        row = connection.execute(query).fetchone()
    if row is None or row["age"] is None or row["age"] < _HORIZON_ALLOWED:
        return Finding(check="safe horizon", level=Level.OK, detail="no long transaction holds readers back")
    who = f"backend {row['pid']} ({row['usename']} on {row['datname']}, {row['application_name'] or 'unnamed'}, {row['state']})"
    detail = f"{who} has written without committing for {row['age'].total_seconds():.0f} s: every event since waits for it"
    return Finding(check="safe horizon", level=Level.PROBLEM, detail=detail, cure=f"end it, or `select pg_terminate_backend({row['pid']})`")


def temporal(settings: Settings) -> Iterator[Finding]:
    if settings.temporal_address is None:
        return
    address, namespace = settings.temporal_address, settings.temporal_namespace
    missing = temporal_server.missing_search_attributes(address, namespace)
    if missing is None:
        cure = "start the stack with `spine up`, or mend TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE"
        yield Finding(check="temporal", level=Level.PROBLEM, detail=f"{address} (namespace {namespace!r}) does not answer", cure=cure)
        return
    if missing:
        names = " ".join(f"--name {name} --type {temporal_server.SEARCH_ATTRIBUTES[name]}" for name in missing)
        cure = f"temporal operator search-attribute create --address {address} --namespace {namespace} {names}"
        yield Finding(check="temporal", level=Level.PROBLEM, detail=f"search attributes are missing: {', '.join(missing)}", cure=cure)
    else:
        yield Finding(check="temporal", level=Level.OK, detail=address)
    last = probes.last_poll(address, namespace, TASK_QUEUE)
    if last is not None and datetime.now(UTC) - last < _POLL_ALLOWED:
        yield Finding(check="worker", level=Level.OK, detail=f"polls task queue {TASK_QUEUE!r}")
    else:
        detail = f"nobody polls task queue {TASK_QUEUE!r}{f' since {last:%H:%M:%S} UTC' if last else ''}: commitments wait"
        cure = f"`spine status` and {str(settings.home / 'logs' / 'worker.log')!r} say why; or start `python -m orchestration.worker`"
        yield Finding(check="worker", level=Level.PROBLEM, detail=detail, cure=cure)


def _http(name: str, url: str, path: str) -> Finding:
    if probes.answers_http(f"{url}{path}"):
        return Finding(check=name, level=Level.OK, detail=url)
    cure = "`spine status` and its log say why; `spine up` starts it"
    return Finding(check=name, level=Level.PROBLEM, detail=f"{url}{path} does not answer with success", cure=cure)


def _binary(name: str, find: Callable[[], Path]) -> Finding:
    again = "install again from the lock file: `rm -r .venv`, then `make up`"
    try:
        path = find()
        done = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=20)
    except (Misconfigured, OSError, subprocess.TimeoutExpired) as error:
        return Finding(check=name, level=Level.PROBLEM, detail=str(error), cure=again)
    if done.returncode:
        return Finding(check=name, level=Level.PROBLEM, detail=f"{str(path)!r} does not run: {done.stderr.strip()[:200]}", cure=again)
    return Finding(check=name, level=Level.OK, detail=done.stdout.strip().splitlines()[0])
