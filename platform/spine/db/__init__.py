"""The database: one transaction at a time, always inside a tenant's wall.

`Database.tenant(t)` opens a transaction as role `spine_app` with `spine.tenant_id = t` for its duration; row-level
security, forced on every table, shows and accepts that tenant's rows only. `Database.relay()` is the role of the event
dispatchers: it reads every tenant's events and keeps the consumer groups' books, and can do nothing else.
"""

from spine.db.engine import CONNECTIONS, Connection, Database, answer_to, at_last, wall_of
from spine.db.messages import Question
from spine.db.migrate import head_revision, migrate, revision_of

__all__ = [
    "CONNECTIONS",
    "Connection",
    "Database",
    "Question",
    "answer_to",
    "at_last",
    "head_revision",
    "migrate",
    "revision_of",
    "wall_of",
]
