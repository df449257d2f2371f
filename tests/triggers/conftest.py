"""One client loop for the tests of this folder, and a queue that nobody polls: starts are what is tested, not workflows."""

from collections.abc import Iterator

import pytest

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
