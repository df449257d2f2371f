"""The gate's own books: canary groups and their holds, and the bundle that an intent was judged with."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
