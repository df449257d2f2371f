"""Who may sign for what: the approver directory, single-use tokens, the life of API keys, and secrets of webhooks that come in."""

from alembic import op

from spine.db.walls import wall

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    # `last_used_at` is written at most once an hour a key (spine.identity.api_keys): a use is not a write.
    op.execute("alter table api_keys add column expires_at timestamptz, add column last_used_at timestamptz")

    # One row a person and function; `level` orders people inside a function. Times of absence are business time.
    op.execute(
        """
        create table approvers (
            tenant_id text not null,
            person text not null,
            function text not null,
            level int not null default 1 check (level between 1 and 9),
            delegate text check (delegate <> person),
            absent_from timestamptz,
            absent_until timestamptz,
            active boolean not null default true,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            primary key (tenant_id, person, function),
            check ((absent_from is null) = (absent_until is null)),
            check (absent_from < absent_until)
        )
        """
    )
    wall("approvers", app="select, insert, update")

    op.execute("alter table approvals add column must_include text[] not null default '{}'")
    # As what the person decided: [{"function", "level", "on_behalf_of"}]; empty for whoever only has an approver's key.
    op.execute("alter table approval_decisions add column capacities jsonb not null default '[]'")
    op.execute("alter table approval_decisions add column minted_by text")

    # A token is signed, so the row adds what a signature cannot: that it is used once, and who let it be made.
    op.execute(
        """
        create table approval_tokens (
            tenant_id text not null,
            token_id uuid not null,
            approval_id uuid not null,
            approver text not null,
            minted_by text not null,
            minted_at timestamptz not null default now(),
            expires_at timestamptz not null,
            used_at timestamptz,
            used_for text check (used_for in ('approve', 'reject')),
            voided_at timestamptz,
            primary key (tenant_id, token_id),
            foreign key (tenant_id, approval_id) references approvals (tenant_id, approval_id)
        )
        """
    )
    op.execute("create index approval_tokens_open on approval_tokens (tenant_id, approver) where used_at is null and voided_at is null")
    wall("approval_tokens", app="select, insert, update")

    # Sealed under a key that the database does not hold; a signature's secret has to be read back, so a hash would not do.
    op.execute(
        """
        create table webhook_secrets (
            tenant_id text not null,
            provider text not null,
            secret_id text not null,
            sealed bytea not null,
            created_at timestamptz not null default now(),
            expires_at timestamptz,
            primary key (tenant_id, provider, secret_id)
        )
        """
    )
    wall("webhook_secrets", app="select, insert, update")


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
