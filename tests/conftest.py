"""Real engines for every test that needs one: PostgreSQL and Temporal from the wheels, started once a session."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from spine.db import Database, migrate
from spine.keyring import Keyring
from spine.stack.ports import free_port, free_ports
from spine.stack.postgres import EmbeddedPostgres
from spine.stack.temporal_server import EmbeddedTemporal
from spine.storage import setup_checkpoints

TEMPLATE = "spine_migrated"
VAULT_KEY = "a-master-secret-of-the-tests-that-keeps-nothing-safe"
_numbers = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def vault_key() -> Iterator[str]:
    """What processes and commands of ours find in their environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPINE_VAULT_KEY", VAULT_KEY)
        yield VAULT_KEY


@pytest.fixture(scope="session")
def engines_home() -> Iterator[Path]:
    """A folder that PostgreSQL's account can reach when the tests run as root; pytest's own are private."""
    home = Path(tempfile.mkdtemp(prefix="spine-tests-"))
    home.chmod(0o711)
    yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(engines_home: Path) -> Iterator[EmbeddedPostgres]:
    """One server with our roles; `.url(role, database)` gives addresses, `.url(database=…)` the superuser's."""
    with EmbeddedPostgres(engines_home, free_port(), durable=False).running() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: EmbeddedPostgres) -> str:
    """Migrations run once a session; each test gets a copy, which takes a few milliseconds."""
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, TEMPLATE)
    migrate(postgres.url("spine_owner", TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database_name(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    """A fresh migrated database of this test's own, for tests that need addresses rather than a Database."""
    name = f"spine_test_{next(_numbers)}"
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, name, template=migrated_template)
        yield name
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def database(postgres: EmbeddedPostgres, database_name: str) -> Iterator[Database]:
    """A fresh migrated database with the application's two roles, closed and dropped afterwards."""
    addresses = {"app_url": postgres.url("spine_app", database_name), "relay_url": postgres.url("spine_relay", database_name)}
    opened = Database(**addresses, keyring=Keyring.parse(VAULT_KEY))
    yield opened
    opened.close()


@pytest.fixture
def langgraph_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """An empty database that role langgraph owns."""
    name = f"langgraph_test_{next(_numbers)}"
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, name, like="langgraph")
        yield postgres.url("langgraph", name)
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def checkpoints_url(langgraph_url: str) -> str:
    """The same with the checkpoint tables in it."""
    setup_checkpoints(langgraph_url)
    return langgraph_url


@pytest.fixture(scope="session")
def temporal(engines_home: Path) -> Iterator[str]:
    """The address of a Temporal server set up as the stack sets it up, without the user interface."""
    port, http_port, metrics_port = free_ports(3)
    with EmbeddedTemporal(home=engines_home, port=port, http_port=http_port, metrics_port=metrics_port).running() as server:
        yield server.address
