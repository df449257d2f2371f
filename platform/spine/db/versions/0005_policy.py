"""The gate's own books: canary groups and their holds, and the bundle that an intent was judged with."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Memo, risk register, approval packet and execution intent; the evidence pack has a column of its own.
    op.execute("alter table intents add column bundle jsonb")

    # One row an automation, over all tenants, so it belongs to none. An empty list, like nought per cent, means nobody.
    op.execute(
        """
        create table canary_groups (
            automation text primary key,
            enforced boolean not null,
            percentage numeric(5, 2) check (percentage between 0 and 100),
            tenants text[],
            opens_at timestamptz,
            closes_at timestamptz,
            stop_loss numeric(5, 4) check (stop_loss >= 0 and stop_loss < 1),
            stop_loss_window interval not null default '24 hours' check (stop_loss_window > interval '0'),
            stop_loss_from int not null default 20 check (stop_loss_from > 0),
            held_at timestamptz,
            held_because text,
            held_by text,
            released_at timestamptz,
            changed_at timestamptz not null,
            changed_by text not null,
            check ((percentage is null) <> (tenants is null)),
            check (opens_at < closes_at),
            check ((held_at is null) = (held_because is null) and (held_at is null) = (held_by is null))
        )
        """
    )
    op.execute("alter table canary_groups enable row level security")
    op.execute("alter table canary_groups force row level security")
    op.execute("create policy operators on canary_groups to spine_relay using (true) with check (true)")
    op.execute("grant select, insert, update, delete on canary_groups to spine_relay")
    # What the owner's function below reads; the application's role reads nothing.
    op.execute("create policy membership on canary_groups for select to spine_owner using (true)")

    # The formula is that of spine.policy.canary.bucket: a test holds the two together.
    op.execute(
        """
        create function canary_of(wanted text, at timestamptz) returns text
        language sql stable security definer set search_path = pg_catalog, public as
        $$
            select case
                when g.held_at is not null then 'outside'
                when not g.enforced then 'not_enforced'
                when coalesce(at < g.opens_at, false) or coalesce(at >= g.closes_at, false) then 'outside'
                when me.tenant = '' then 'outside'
                when me.tenant = any (g.tenants) then 'inside'
                when me.bucket < g.percentage * 100 then 'inside'
                else 'outside' end
            from canary_groups g, lateral (
                select tenant, ('x' || left(encode(sha256(convert_to(wanted || '/' || tenant, 'UTF8')), 'hex'), 8))::bit(32)::bigint % 10000
                from (select coalesce(current_setting('spine.tenant_id', true), '') as tenant) here
            ) as me (tenant, bucket)
            where g.automation = wanted
        $$
        """
    )
    op.execute(
        "comment on function canary_of is 'whether the tenant of this transaction is inside: all that a tenant may learn of a group'"
    )
    op.execute("revoke all on function canary_of from public")
    op.execute("grant execute on function canary_of to spine_app, spine_relay")


def downgrade() -> None:
    raise NotImplementedError("records of what was decided are not taken back; restore a backup instead")
