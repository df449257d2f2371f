"""Findings of the sweeper, dead letters of every plane, and the circuit between them."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
