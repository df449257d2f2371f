"""${message}"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    raise NotImplementedError("write the DDL; every table gets spine.db.walls.wall()")
