"""How a run tells what it found in every tenant, and fails, in the end, for those that it could not look at."""

import traceback
from collections.abc import Iterable, Mapping

import dagster as dg

from spine.errors import SpineError
from spine.tenants import Found, Looked

Cell = str | int | None


def by_tenant(rows: Mapping[str, Mapping[str, Cell]]) -> dg.TableMetadataValue:
    """A row a tenant; rows have the same columns."""
    return table([{"tenant": tenant_id, **row} for tenant_id, row in rows.items()])


def table(rows: Iterable[Mapping[str, Cell]]) -> dg.TableMetadataValue:
    """Rows as Dagster shows them: its own kind of value takes its columns from the first row, and there may be none."""
    records = [dg.TableRecord(row) for row in rows]
    return dg.TableMetadataValue(records, schema=None if records else dg.TableSchema(columns=[dg.TableColumn("tenant")]))


def totals(rows: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Each count over all tenants."""
    counts: dict[str, int] = {}
    for row in rows:
        counts |= {name: counts.get(name, 0) + count for name, count in row.items()}
    return counts


def say_who_failed(log: dg.DagsterLogManager, looked: Looked[Found]) -> None:
    """Each error with its traceback, in the run's log."""
    for tenant_id, error in looked.failed.items():
        log.error("tenant %r could not be looked at:\n%s", tenant_id, "".join(traceback.format_exception(error)))


def raise_for_failed(log: dg.DagsterLogManager, looked: Looked[Found], told: dg.TableMetadataValue | None = None) -> None:
    """Fail the step when a tenant could not be looked at: the failure names each, and shows what was found in the others (`told`).

    Raises Failure, with the errors' code where all have the same one.
    """
    if not looked.failed:
        return
    say_who_failed(log, looked)
    codes = {error.code if isinstance(error, SpineError) else type(error).__name__ for error in looked.failed.values()}
    code = codes.pop() if len(codes) == 1 else "tenants-failed"
    raise dg.Failure(looked.why, metadata={"code": code, **({"by_tenant": told} if told else {})})
