"""The ways in: API keys, idempotent calls, webhooks received; and what the data plane has published."""

from alembic import op

from spine.db.walls import wall

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # A key reads `sk.<tenant>.<key_id>.<secret>`: the wall is chosen by the key itself, and only a hash of the secret is kept.
    op.execute(
        """
        create table api_keys (
            tenant_id text not null,
            key_id text not null,
            principal_id text not null,
            actor_type text not null default 'human',
            role text not null check (role in ('viewer', 'operator', 'approver', 'admin')),
            secret_hash text not null,
            created_at timestamptz not null default now(),
            revoked_at timestamptz,
            primary key (tenant_id, key_id)
        )
        """
    )
    wall("api_keys")

    op.execute(
        """
        create table idempotent_calls (
            tenant_id text not null,
            principal_id text not null,
            idempotency_key text not null,
            fingerprint text not null,
            status int not null,
            body jsonb not null,
            created_at timestamptz not null default now(),
            primary key (tenant_id, principal_id, idempotency_key)
        )
        """
    )
    wall("idempotent_calls", app="select, insert")

    op.execute(
        """
        create table webhooks_received (
            tenant_id text not null,
            provider text not null,
            webhook_id text not null,
            received_at timestamptz not null default now(),
            primary key (tenant_id, provider, webhook_id)
        )
        """
    )
    wall("webhooks_received", app="select, insert")

    op.execute(
        """
        create table publications (
            tenant_id text not null,
            dataset text not null,
            record_key text not null,
            version text not null,
            event_id uuid not null,
            published_at timestamptz not null default now(),
            primary key (tenant_id, dataset, record_key)
        )
        """
    )
    wall("publications", app="select, insert")
    # So that a process can say that the migrations are behind, instead of failing at the first column that is missing.
    op.execute("grant select on alembic_version to spine_app")


def downgrade() -> None:
    raise NotImplementedError("keys and publication records are not taken back; restore a backup instead")
