"""The gateway's and the console's own records."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
