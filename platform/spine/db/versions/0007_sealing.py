"""Seals over the audit log, and the keys of what is kept by reference."""

from alembic import op

from spine.db.walls import append_only, open_to_relay, wall

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    _seals()
    _vault()


def _seals() -> None:
    # A position is drawn before its transaction commits: by positions alone a row committed late would never be sealed.
    op.execute("alter table audit_log add column xid xid8 not null default pg_current_xact_id()")
    op.execute("create index audit_in_reading_order on audit_log (tenant_id, xid, position)")
    op.execute("create index audit_by_tenant on audit_log (tenant_id, position)")
    op.execute("grant select on audit_log to spine_relay")  # the sealing job works for every tenant

    # A batch of rows each: who is in it (leaves, positions), its Merkle root, and the root that chains it to the seal before.
    op.execute(
        """
        create table audit_seals (
            tenant_id text not null,
            number bigint not null check (number > 0),
            through_xid xid8 not null,
            through_position bigint not null,
            rows_before bigint not null,
            positions bigint[] not null,
            leaves bytea not null,
            merkle_root text not null,
            previous_root text not null,
            root text not null,
            sealed_at timestamptz not null,
            primary key (tenant_id, number)
        )
        """
    )
    wall("audit_seals", app="select, insert")
    open_to_relay("audit_seals", "select, insert")
    append_only("audit_seals")


def _vault() -> None:
    # One data key a person, wrapped by the installation's master key. Destroying it leaves the row, so that none is made again.
    op.execute(
        """
        create table subject_keys (
            tenant_id text not null,
            subject_id text not null,
            wrapped text,
            created_at timestamptz not null default now(),
            destroyed_at timestamptz,
            primary key (tenant_id, subject_id),
            check (destroyed_at is null or wrapped is null)
        )
        """
    )
    wall("subject_keys", app="select, insert, update")
    op.execute(
        """
        create function refuse_revival() returns trigger language plpgsql as
        $$ begin
            if old.destroyed_at is not null then
                raise exception 'the key of an erased subject does not come back' using errcode = 'insufficient_privilege';
            end if;
            return new;
        end $$
        """
    )
    op.execute("create trigger stays_destroyed before update on subject_keys for each row execute function refuse_revival()")

    # Of an erased person only a keyed hash of the address is kept, so that nobody writes again when it comes back under another name.
    op.execute(
        """
        create table suppressed_addresses (
            tenant_id text not null,
            address_mark text not null,
            suppressed_at timestamptz not null,
            primary key (tenant_id, address_mark)
        )
        """
    )
    wall("suppressed_addresses", app="select, insert")
    append_only("suppressed_addresses")

    op.execute("grant update (body) on documents to spine_app")  # only to take an erased person's texts out, see spine.vault.erasure


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
