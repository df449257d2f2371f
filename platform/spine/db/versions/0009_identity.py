"""Who may sign for what: the approver directory, single-use tokens, and secrets of webhooks in and out."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
