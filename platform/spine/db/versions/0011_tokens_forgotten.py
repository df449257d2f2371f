"""Approval tokens that are over may be forgotten: see spine.retention for how long they are kept."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.execute("grant delete on approval_tokens to spine_app")  # the wall's policy is for every command: a tenant reaches its own rows only


def downgrade() -> None:
    raise NotImplementedError("what was forgotten does not come back; restore a backup instead")
