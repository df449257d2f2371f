"""The gateway's and the console's own records."""

from alembic import op

from spine.db.walls import wall

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    _console_sessions()
    # The console's catalogue shows the newest intent of each automation, and a list of one automation's is asked for by its name.
    op.execute("create index intents_by_automation on intents (tenant_id, automation, created_at)")
    # Listings read a page by its index, in the order in which they are shown (spine.approvals.listing, spine.intents.listing).
    op.execute(
        "create index approvals_by_urgency on approvals (tenant_id, (-escalation_level), expires_at, approval_id) where state = 'pending'"
    )
    op.execute("create index approvals_by_age on approvals (tenant_id, requested_at, approval_id)")
    op.execute("create index intents_by_age on intents (tenant_id, created_at, intent_id)")


def _console_sessions() -> None:
    """Who is logged in to the console. Real time throughout: a session is a lease. Only a hash of the token is kept."""
    op.execute(
        """
        create table console_sessions (
            tenant_id text not null,
            session_hash text not null,
            key_id text,  -- of the API key that opened it; null: an identity provider did
            principal_id text not null,
            role text not null check (role in ('viewer', 'operator', 'approver', 'admin')),
            actor_type text not null,
            created_at timestamptz not null default now(),
            seen_at timestamptz not null default now(),
            expires_at timestamptz not null,
            primary key (tenant_id, session_hash)
        )
        """
    )
    wall("console_sessions")


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
