from collections.abc import Iterator

import psycopg
import pytest

from spine.db import Database
from spine.keyring import Keyring
from spine.stack.postgres import EmbeddedPostgres
from tests.governance.support import Desk

_NAME = "spine_policy_tests"


@pytest.fixture(scope="session")
def policy_database(postgres: EmbeddedPostgres, migrated_template: str, vault_key: str) -> Iterator[Database]:
    """One database for all these tests: each has a tenant of its own, and automations of its own where the table is everybody's."""
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, _NAME, template=migrated_template)
    addresses = {"app_url": postgres.url("spine_app", _NAME), "relay_url": postgres.url("spine_relay", _NAME)}
    with Database(**addresses, keyring=Keyring.parse(vault_key)) as opened:
        yield opened


@pytest.fixture
def desk(policy_database: Database) -> Desk:
    """A new tenant's desk at noon on a Sunday in Riyadh, with one contact who has agreed to marketing e-mail."""
    opened = Desk(policy_database)
    opened.contact()
    opened.staff("ana", "bob", "cleo", "dana", "approver-0", "approver-1")
    return opened
