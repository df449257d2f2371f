"""Desks as everywhere, with people who may sign. The table of canaries is everybody's: each test has automations of its own in it."""

import pytest

from spine.db import Database
from tests.desk import shared_database
from tests.governance.support import Desk

__all__ = ["desk", "shared_database"]


@pytest.fixture
def desk(shared_database: Database) -> Desk:
    """A new tenant's desk at noon on a Sunday in Riyadh, with one contact who has agreed to marketing e-mail."""
    opened = Desk(shared_database)
    opened.contact()
    opened.staff("ana", "bob", "cleo", "dana", "approver-0", "approver-1")
    return opened
