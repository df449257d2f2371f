"""Findings of the sweeper, dead letters of every plane, and the circuit between them."""

from alembic import op

from spine.db.walls import open_to_relay, wall

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(
        """
        alter table dead_letters
            drop constraint dead_letters_plane_check,
            add constraint dead_letters_plane_check
                check (plane in ('event', 'delivery', 'activity', 'graph', 'webhook', 'data_job')),
            drop constraint dead_letters_state_check,
            add constraint dead_letters_state_check check (state in ('open', 'retried', 'edited', 'discarded')),
            add column successor text,
            add column died_at timestamptz not null default now()
        """
    )
    op.execute("create index dead_letters_by_state on dead_letters (tenant_id, state, created_at, dead_letter_id)")
    # What the circuit counts: how many of one kind died lately, in real time.
    op.execute("create index dead_letters_by_cause on dead_letters (tenant_id, plane, consumer, error_code, died_at)")
    op.execute("grant delete on dead_letters to spine_app")  # what was resolved may be forgotten, see spine.retention

    # One row a cause: letters of this code from this consumer arrive no more while it is not closed. Real time.
    op.execute(
        """
        create table dead_letter_circuits (
            tenant_id text not null,
            plane text not null,
            consumer text not null,
            error_code text not null,
            state text not null check (state in ('open', 'half_open', 'closed')),
            trips int not null default 1,
            opened_at timestamptz not null,
            probe_at timestamptz not null,
            closed_at timestamptz,
            primary key (tenant_id, plane, consumer, error_code)
        )
        """
    )
    wall("dead_letter_circuits", app="select, insert, update")
    open_to_relay("dead_letter_circuits", "select, insert, update")

    # An event that a circuit keeps from dying waits; `held_by` is the code of that circuit.
    op.execute("alter table deliveries add column held_by text")
    op.execute("create index deliveries_held on deliveries (group_name, tenant_id, held_by, position) where held_by is not null")

    op.execute(
        """
        create table findings (
            tenant_id text not null,
            finding_id uuid not null,
            code text not null,
            subject text not null,
            severity text not null check (severity in ('V0', 'V1', 'V2', 'V3')),
            detail text not null,
            raised_at timestamptz not null,
            seen_at timestamptz not null,
            cleared_at timestamptz,
            primary key (tenant_id, finding_id)
        )
        """
    )
    op.execute("create unique index findings_standing on findings (tenant_id, code, subject) where cleared_at is null")
    op.execute("create index findings_in_order on findings (tenant_id, raised_at, finding_id)")
    wall("findings", app="select, insert, update")


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
