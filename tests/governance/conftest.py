import itertools
from collections.abc import Iterator

import psycopg
import pytest

from spine.db import Database
from spine.keyring import Keyring
from spine.stack.postgres import EmbeddedPostgres
from tests.governance.support import Desk

_numbers = itertools.count(1)  # other folders take these fixtures too, and a process may run several folders


@pytest.fixture(scope="session")
def shared_database(postgres: EmbeddedPostgres, migrated_template: str, vault_key: str) -> Iterator[Database]:
    """One database for all these tests: each has a tenant of its own, and the walls between tenants are what keeps them apart."""
    name = f"spine_governance_tests_{next(_numbers)}"
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, name, template=migrated_template)
    addresses = {"app_url": postgres.url("spine_app", name), "relay_url": postgres.url("spine_relay", name)}
    with Database(**addresses, keyring=Keyring.parse(vault_key)) as opened:
        yield opened


@pytest.fixture(scope="session")
def superuser_url(shared_database: Database, postgres: EmbeddedPostgres) -> str:
    """The same database, as the one to whom no wall applies."""
    return postgres.url(database=shared_database.app_url.rpartition("/")[2])


@pytest.fixture
def desk(shared_database: Database) -> Desk:
    """A new tenant's desk at noon on a Sunday in Riyadh, with one contact who has agreed to marketing e-mail, and people who may sign."""
    opened = Desk(shared_database)
    opened.contact()
    return opened
