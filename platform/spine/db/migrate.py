"""Migrations: Alembic, run by role `spine_owner`, one process at a time.

Alembic and SQLAlchemy are loaded when something is migrated, and by nobody who merely opens the database.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK = 7_234_001  # advisory lock of "someone is migrating"; any constant of ours


def migrate(owner_url: str, revision: str = "head") -> str:
    """Bring the database up to `revision`; a second caller waits for the first, then finds nothing to do. Returns the revision."""
    from alembic import command

    with psycopg.connect(owner_url, autocommit=True) as guard:
        guard.execute("select pg_advisory_lock(%s)", (_LOCK,))
        command.upgrade(_config(owner_url), revision)
    return revision_of(owner_url) or ""


def revision_of(owner_url: str) -> str | None:
    """The revision the database is at; None when it was never migrated."""
    from alembic.migration import MigrationContext
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(_sqlalchemy_url(owner_url), poolclass=NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    """The revision this version of the code expects."""
    from alembic.script import ScriptDirectory

    head = ScriptDirectory.from_config(_config("")).get_current_head()
    assert head is not None, "the wheel ships at least one migration"
    return head


def _config(owner_url: str) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["url"] = _sqlalchemy_url(owner_url) if owner_url else ""
    return config


def _sqlalchemy_url(libpq_url: str) -> str:
    # Named outright: what a bare postgresql:// means changed in SQLAlchemy 2.1 (trap 1).
    return libpq_url.replace("postgresql://", "postgresql+psycopg://", 1).replace("postgres://", "postgresql+psycopg://", 1)
