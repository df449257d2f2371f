"""Budgets, reserved and settled; and what contactability knows besides consent."""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
