import pytest

from spine.db import Database
from tests.governance.support import Desk


@pytest.fixture
def desk(database: Database) -> Desk:
    """A tenant's desk at noon on a Sunday in Riyadh, with one contact who has agreed to marketing e-mail."""
    opened = Desk(database)
    opened.contact()
    return opened
