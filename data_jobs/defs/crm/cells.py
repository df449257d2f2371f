"""Cells, a column at a time: read as what they stand for, and each one that changes is a row of the repair ledger."""

import polars as pl

from spine.errors import BadExport

LEDGER_SCHEMA = {
    "file": pl.String,
    "line": pl.Int64,
    "column": pl.String,
    "kind": pl.String,
    "found": pl.String,
    "became": pl.String,
}
_DAY_FIRST = r"^\d{2}-\d{2}-\d{4}$"


def tidy(frame: pl.DataFrame) -> pl.DataFrame:
    """Without the blanks around each cell."""
    return frame.with_columns(pl.col(pl.String).str.strip_chars())


def folded(values: pl.Series) -> pl.Series:
    """Letters and digits in lower case: 'GTX Pro', 'GTXPro' and 'gtx-pro' are one product."""
    return values.str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]", "")


def spelled(frame: pl.DataFrame, column: str, known: pl.Series) -> pl.Series:
    """The known spelling of each value, None where no known value has the same letters and digits."""
    canonical = dict(zip(folded(known).to_list(), known.to_list(), strict=True))
    return folded(frame[column]).replace_strict(canonical, default=None, return_dtype=pl.String)


def day_first(column: str) -> pl.Expr:
    """DD-MM-YYYY as a date, None for anything else."""
    return pl.when(pl.col(column).str.contains(_DAY_FIRST)).then(pl.col(column)).str.to_date("%d-%m-%Y", strict=False)


def changes(file: str, frame: pl.DataFrame, column: str, kind: str, became: pl.Series) -> pl.DataFrame:
    """Ledger rows for the cells of `column` that differ from `became`."""
    return (
        frame.select("line", found=pl.col(column))
        .with_columns(became=became)
        .filter(pl.col("found").ne_missing(pl.col("became")))
        .select(file=pl.lit(file), line="line", column=pl.lit(column), kind=pl.lit(kind), found="found", became="became")
        .cast(LEDGER_SCHEMA)  # type: ignore[arg-type]
    )


def spaces(file: str, came: pl.DataFrame, tidied: pl.DataFrame) -> pl.DataFrame:
    """Ledger rows for the cells that lost the blanks around them."""
    return pl.concat([changes(file, came, column, "surrounding_space", tidied[column]) for column in came.columns if column != "line"])


def blank_as_null(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(pl.col(column)).alias(column)


def number(file: str, frame: pl.DataFrame, column: str, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    """Blank is None. Raises BadExport for anything else that is not a number."""
    numbers = frame.select(blank_as_null(column))[column].cast(kind, strict=False)
    wrong = frame.filter((frame[column] != "") & numbers.is_null())
    if wrong.height:
        line, found = wrong["line"][0], wrong[column][0]
        raise BadExport(f"{file!r} line {line}: {column} is {found!r}, which is not a number: correct it in the export")
    return numbers


def require_distinct(file: str, frame: pl.DataFrame, column: str) -> None:
    """Names must differ in letters and digits: they are matched so, and a contact's reference is made of them. Raises BadExport."""
    names = folded(frame[column])
    if (blank := frame.filter(names == "")).height:
        raise BadExport(f"{file!r} line {blank['line'][0]}: {column} is blank or has no letter: name it, or remove the line")
    if (twice := frame.filter(~names.is_first_distinct())).height:
        line, name = twice["line"][0], twice[column][0]
        raise BadExport(f"{file!r} line {line}: {column} {name!r} is there already, perhaps spelled otherwise: keep one of them")
