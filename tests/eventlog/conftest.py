"""The address of the database's owner, for what only a stranger could have written."""

import pytest

from spine.stack.postgres import EmbeddedPostgres


@pytest.fixture
def owner_url(postgres: EmbeddedPostgres, database_name: str) -> str:
    return postgres.url(database=database_name)
