"""One client loop for the tests of this folder, and a queue that nobody polls: starts are what is tested, not workflows."""

from collections.abc import Iterator

import pytest

from spine.stack.postgres import EmbeddedPostgres
from spine.temporal import TemporalLoop, connect


@pytest.fixture(scope="session")
def loop(temporal: str) -> Iterator[TemporalLoop]:
    made = TemporalLoop(lambda: connect(temporal))
    yield made
    made.close()


@pytest.fixture
def nowhere() -> Iterator[TemporalLoop]:
    """A loop whose server is not there."""
    made = TemporalLoop(lambda: connect("127.0.0.1:1"))
    yield made
    made.close()


@pytest.fixture
def owner_url(postgres: EmbeddedPostgres, database_name: str) -> str:
    """The superuser's address, for what only a stranger could have written."""
    return postgres.url(database=database_name)
