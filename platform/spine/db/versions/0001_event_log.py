"""The event log, which is also the transactional outbox, and the books of its consumer groups."""

from alembic import op

from spine.db.walls import append_only, open_to_relay, wall

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(
        """
        create function refuse_change() returns trigger language plpgsql as
        $$ begin raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege'; end $$
        """
    )
    # Readers go by (xid, position): a position is drawn before its transaction commits, so positions alone would let
    # a reader step over the event of a slow transaction. See spine/eventlog.
    op.execute(
        """
        create table events (
            position bigint generated always as identity primary key,
            xid xid8 not null default pg_current_xact_id(),
            tenant_id text not null,
            event_id uuid not null,
            source text not null,
            type text not null,
            subject text not null,
            partition_key text not null,
            correlation_id text not null,
            causation_id text,
            occurred_at timestamptz not null,
            recorded_at timestamptz not null default now(),
            envelope jsonb not null,
            unique (tenant_id, source, event_id)
        )
        """
    )
    op.execute("create index events_in_reading_order on events (xid, position)")
    op.execute("create index events_by_correlation on events (tenant_id, correlation_id)")
    op.execute("create index events_by_subject on events (tenant_id, subject, type)")
    wall("events", app="select, insert")
    open_to_relay("events", "select")
    append_only("events")
    op.execute(
        """
        create function announce_events() returns trigger language plpgsql as
        $$ begin perform pg_notify('spine_events', ''); return null; end $$
        """
    )
    op.execute("create trigger announce after insert on events for each statement execute function announce_events()")

    # One row a group, over all tenants: a place in the log, nothing of anybody's.
    op.execute(
        """
        create table consumer_offsets (
            group_name text primary key,
            xid xid8 not null default '0',
            position bigint not null default 0,
            updated_at timestamptz not null default now()
        )
        """
    )
    op.execute("grant select, insert, update on consumer_offsets to spine_relay")
    op.execute("grant select on consumer_offsets to spine_app")

    op.execute(
        """
        create table deliveries (
            group_name text not null,
            position bigint not null references events (position),
            tenant_id text not null,
            event_id uuid not null,
            partition_key text not null,
            state text not null check (state in ('delivered', 'waiting', 'dead')),
            outcome text not null,
            target text,
            attempts int not null default 1,
            next_attempt_at timestamptz,
            detail text,
            updated_at timestamptz not null default now(),
            primary key (group_name, position)
        )
        """
    )
    op.execute("create index deliveries_waiting on deliveries (group_name, next_attempt_at) where state = 'waiting'")
    op.execute("create index deliveries_by_event on deliveries (tenant_id, event_id)")
    wall("deliveries", app="select")
    open_to_relay("deliveries", "select, insert, update")

    op.execute(
        """
        create table dead_letters (
            dead_letter_id uuid primary key,
            tenant_id text not null,
            plane text not null check (plane in ('event', 'activity', 'graph', 'webhook', 'data_job')),
            reference text not null,
            consumer text not null,
            correlation_id text,
            error_code text not null,
            error text not null,
            attempts int not null,
            body jsonb not null,
            state text not null default 'open' check (state in ('open', 'retried', 'discarded')),
            created_at timestamptz not null default now(),
            resolved_at timestamptz,
            resolved_by text,
            resolution text,
            unique (tenant_id, plane, consumer, reference)
        )
        """
    )
    wall("dead_letters", app="select, insert, update")
    open_to_relay("dead_letters", "select, insert, update")


def downgrade() -> None:
    raise NotImplementedError("the log of what happened is not taken back; restore a backup instead")
