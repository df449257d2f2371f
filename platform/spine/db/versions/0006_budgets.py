"""Budgets, reserved and settled; what contactability knows besides consent; who is told of events, and what became of each telling."""

from alembic import op

from spine.db.walls import append_only, open_to_relay, wall

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _contacts()
    _budgets()
    _webhooks()


def _contacts() -> None:
    op.execute("alter table contacts add column phone text")

    # What people wrote to us opens WhatsApp's 24 hours. No foreign key: somebody may write before we know them.
    op.execute(
        """
        create table messages_received (
            tenant_id text not null,
            channel text not null check (channel in ('whatsapp', 'email', 'sms', 'phone')),
            message_ref text not null,
            contact_id text not null,
            received_at timestamptz not null,
            primary key (tenant_id, channel, message_ref)
        )
        """
    )
    op.execute("create index messages_from_contact on messages_received (tenant_id, contact_id, channel, received_at)")
    wall("messages_received", app="select, insert")

    op.execute(
        """
        create table message_reports (
            tenant_id text not null,
            channel text not null check (channel in ('whatsapp', 'email', 'sms', 'phone')),
            kind text not null check (kind in ('bounce', 'complaint')),
            message_ref text not null,
            contact_id text not null,
            reported_at timestamptz not null,
            primary key (tenant_id, channel, kind, message_ref)
        )
        """
    )
    op.execute("create index message_reports_in_time on message_reports (tenant_id, channel, reported_at)")
    wall("message_reports", app="select, insert")
    append_only("message_reports")

    op.execute(
        """
        create table channel_resumptions (
            tenant_id text not null,
            resumption_id uuid not null,
            channel text not null,
            resumed_at timestamptz not null,
            resumed_by text not null,
            reason text not null,
            primary key (tenant_id, resumption_id)
        )
        """
    )
    wall("channel_resumptions", app="select, insert")
    append_only("channel_resumptions")

    op.execute(
        """
        create table message_templates (
            tenant_id text not null,
            channel text not null,
            name text not null,
            approved_at timestamptz not null,
            withdrawn_at timestamptz,
            primary key (tenant_id, channel, name)
        )
        """
    )
    wall("message_templates", app="select, insert, update")
    # The caps of a day count a tenant's messages of a channel, whoever got them.
    op.execute("create index messages_of_channel on messages_sent (tenant_id, channel, sent_at)")


def _budgets() -> None:
    # `automation` is '' for the tenant as a whole, and for a run limit that holds for every automation.
    op.execute(
        """
        create table budget_limits (
            tenant_id text not null,
            scope text not null check (scope in ('tenant-day', 'tenant-month', 'automation-day', 'automation-month', 'run')),
            automation text not null,
            tokens bigint check (tokens >= 0),
            money numeric(18, 6) check (money >= 0),
            currency text not null,
            set_by text not null,
            set_at timestamptz not null,
            primary key (tenant_id, scope, automation)
        )
        """
    )
    wall("budget_limits")

    # One row a scope and period. `period` is a day, a month or a workflow id; money is in the currency of the books.
    op.execute(
        """
        create table budget_books (
            tenant_id text not null,
            scope text not null,
            automation text not null,
            period text not null,
            tokens_reserved bigint not null default 0 check (tokens_reserved >= 0),
            money_reserved numeric(18, 6) not null default 0 check (money_reserved >= 0),
            tokens_spent bigint not null default 0,
            money_spent numeric(18, 6) not null default 0,
            own_tokens bigint,
            own_money numeric(18, 6),
            announced text not null default 'ok' check (announced in ('ok', 'warn', 'throttle', 'exhausted')),
            opened_at timestamptz not null,
            updated_at timestamptz not null,
            primary key (tenant_id, scope, automation, period)
        )
        """
    )
    op.execute("create index budget_books_in_time on budget_books (tenant_id, updated_at)")
    wall("budget_books", app="select, insert, update")

    op.execute(
        """
        create table budget_reservations (
            tenant_id text not null,
            reservation_id uuid not null,
            automation text not null,
            workflow_id text not null,
            purpose text not null,
            day text not null,
            month text not null,
            state text not null default 'held' check (state in ('held', 'settled', 'released')),
            tokens bigint not null check (tokens >= 0),
            money numeric(18, 6) not null check (money >= 0),
            tokens_spent bigint,
            money_spent numeric(18, 6),
            correlation_id text,
            reserved_at timestamptz not null,
            settled_at timestamptz,
            primary key (tenant_id, reservation_id)
        )
        """
    )
    op.execute("create index budget_reservations_held on budget_reservations (tenant_id, reserved_at) where state = 'held'")
    wall("budget_reservations", app="select, insert, update")


def _webhooks() -> None:
    # `since` is the transaction that made it: an endpoint is told of what began after that, never of the past.
    op.execute(
        """
        create table webhook_endpoints (
            tenant_id text not null,
            endpoint_id uuid not null,
            url text not null,
            event_types text[] not null,
            state text not null default 'active' check (state in ('active', 'disabled', 'removed')),
            why_disabled text,
            given_up_in_a_row int not null default 0,
            since xid8 not null default pg_current_xact_id(),
            created_by text not null,
            created_at timestamptz not null,
            primary key (tenant_id, endpoint_id)
        )
        """
    )
    wall("webhook_endpoints", app="select, insert, update")
    open_to_relay("webhook_endpoints", "select, update")

    op.execute(
        """
        create table webhook_endpoint_secrets (
            tenant_id text not null,
            endpoint_id uuid not null,
            secret_id uuid not null,
            sealed text not null,
            created_at timestamptz not null default now(),
            retires_at timestamptz,
            primary key (tenant_id, secret_id),
            foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, endpoint_id)
        )
        """
    )
    op.execute("create index webhook_endpoint_secrets_of_endpoint on webhook_endpoint_secrets (tenant_id, endpoint_id)")
    wall("webhook_endpoint_secrets")

    op.execute(
        """
        create table webhook_deliveries (
            tenant_id text not null,
            endpoint_id uuid not null,
            event_id uuid not null,
            event_type text not null,
            position bigint not null references events (position),
            state text not null default 'waiting' check (state in ('waiting', 'delivered', 'dead')),
            attempts int not null default 0,
            next_attempt_at timestamptz not null default now(),
            status int,
            error text,
            created_at timestamptz not null default now(),
            finished_at timestamptz,
            primary key (tenant_id, endpoint_id, event_id),
            foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, endpoint_id)
        )
        """
    )
    op.execute("create index webhook_deliveries_waiting on webhook_deliveries (next_attempt_at) where state = 'waiting'")
    op.execute("create index webhook_deliveries_dead on webhook_deliveries (tenant_id, endpoint_id) where state = 'dead'")
    op.execute("create index webhook_deliveries_newest on webhook_deliveries (tenant_id, created_at)")
    wall("webhook_deliveries", app="select, update")
    open_to_relay("webhook_deliveries", "select, insert, update")


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
