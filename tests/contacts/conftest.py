"""The desk of the governance tests, in a database of this folder's own."""

from collections.abc import Iterator

import psycopg
import pytest

from spine.db import Database
from spine.keyring import Keyring
from spine.stack.postgres import EmbeddedPostgres
from tests.governance.support import Desk

_NAME = "spine_contact_tests"


@pytest.fixture(scope="session")
def contacts_database(postgres: EmbeddedPostgres, migrated_template: str, vault_key: str) -> Iterator[Database]:
    with psycopg.connect(postgres.url(database="postgres"), autocommit=True) as connection:
        postgres.create_database(connection, _NAME, template=migrated_template)
    addresses = {"app_url": postgres.url("spine_app", _NAME), "relay_url": postgres.url("spine_relay", _NAME)}
    with Database(**addresses, keyring=Keyring.parse(vault_key)) as opened:
        yield opened


@pytest.fixture
def desk(contacts_database: Database) -> Desk:
    """A new tenant's desk at noon on a Sunday in Riyadh, with one contact who has agreed to marketing e-mail."""
    opened = Desk(contacts_database)
    opened.contact()
    return opened
