"""A desk of its own for each test, all in one database: each is a tenant, and the walls between tenants are what keeps them apart.

A folder's conftest takes the fixtures that it needs by importing them, and has a database of its own by that.
"""

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from spine.db import Database
from spine.keyring import Keyring
from spine.stack.postgres import EmbeddedPostgres
from tests.governance.support import Desk

_numbers = itertools.count(1)  # of the folders that this process runs


@pytest.fixture(scope="session")
def shared_database(postgres: EmbeddedPostgres, migrated_template: str, vault_key: str) -> Iterator[Database]:
    """One database for all tests of a folder: a copy for each would cost more than the tests."""
    name = f"spine_shared_{next(_numbers)}"
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, name, template=migrated_template)
    addresses = {"app_url": postgres.url("spine_app", name), "relay_url": postgres.url("spine_relay", name)}
    with Database(**addresses, keyring=Keyring.parse(vault_key)) as opened:
        yield opened


@pytest.fixture(scope="session")
def superuser_url(shared_database: Database, postgres: EmbeddedPostgres) -> str:
    """The same database, as the one to whom no wall applies: for what only a hand in the database can do."""
    return postgres.url(database=shared_database.app_url.rpartition("/")[2])


@pytest.fixture
def desk(shared_database: Database) -> Desk:
    """A new tenant's desk at noon on a Sunday in Riyadh, with one contact who has agreed to marketing e-mail."""
    opened = Desk(shared_database)
    opened.contact()
    return opened
