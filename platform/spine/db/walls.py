"""The wall between tenants, as DDL that every migration uses for every table."""

from alembic import op


def wall(table: str, *, app: str = "select, insert, update, delete") -> None:
    """Force row-level security on `table`: role spine_app sees and writes the rows of `spine.tenant_id` only, with `app` rights.

    Forced, so that the owner is bound too; without a policy for a role, that role sees nothing.
    """
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(
        f"create policy tenant_wall on {table} to spine_app "
        "using (tenant_id = current_setting('spine.tenant_id', true)) "
        "with check (tenant_id = current_setting('spine.tenant_id', true))"
    )
    op.execute(f"grant {app} on {table} to spine_app")


def open_to_relay(table: str, rights: str) -> None:
    """Let the dispatchers' role see every tenant's rows of `table`, with `rights`."""
    op.execute(f"create policy relay on {table} to spine_relay using (true) with check (true)")
    op.execute(f"grant {rights} on {table} to spine_relay")


def narrow(table: str, right: str, columns: str, *roles: str) -> None:
    """Give `right` (insert or update) on these columns of `table` and on no others: what the database fills in is nobody's to choose.

    A column that comes later, and that our code writes, needs a grant of its own.
    """
    to = ", ".join(roles)
    op.execute(f"revoke {right} on {table} from {to}")
    op.execute(f"grant {right} ({columns}) on {table} to {to}")


def append_only(table: str) -> None:
    """Refuse UPDATE, DELETE and TRUNCATE in the database itself, whoever asks."""
    op.execute(f"create trigger append_only before update or delete on {table} for each row execute function refuse_change()")
    op.execute(f"create trigger append_only_truncate before truncate on {table} for each statement execute function refuse_change()")
