"""Reading a CRM export: four CSV files, exactly as they came, each row with its line number.

A file that cannot be read as described is refused whole, with the file, the place and the cure in the message; nothing has
been written then, so the datasets of the last good export stay. What is wrong with a single row is `cleaning`'s business.
"""

import codecs
import csv
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from spine.errors import BadExport

ACCOUNTS = "accounts.csv"
PRODUCTS = "products.csv"
SALES_TEAMS = "sales_teams.csv"
PIPELINE = "sales_pipeline.csv"

COLUMNS: Mapping[str, tuple[str, ...]] = {
    ACCOUNTS: ("account", "sector", "year_established", "revenue", "employees", "office_location", "subsidiary_of"),
    PRODUCTS: ("product", "series", "sales_price"),
    SALES_TEAMS: ("sales_agent", "manager", "regional_office"),
    PIPELINE: ("opportunity_id", "sales_agent", "product", "account", "deal_stage", "engage_date", "close_date", "close_value"),
}

# UTF-32 first: its little-endian mark begins with UTF-16's.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Text frames by file name: column `line` (1-based, the header is line 1) and the file's columns, blank cells as ''."""

    frames: Mapping[str, pl.DataFrame]
    version: str
    """Digest of the bytes of all four files: the same export has the same version, whatever folder it is in."""


def read_export(folder: Path) -> Export:
    """Raises BadExport, naming the file and the cure."""
    if not folder.is_dir():
        raise BadExport(f"export folder {str(folder)!r} does not exist: set SPINE_CRM_EXPORT, or `folder` in the run's config")
    contents = {name: _bytes_of(folder, name) for name in COLUMNS}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    frames = {name: parse(name, content, COLUMNS[name]) for name, content in contents.items()}
    return Export(frames=frames, version=f"crm-{digest.hexdigest()[:16]}")


def parse(name: str, content: bytes, columns: tuple[str, ...]) -> pl.DataFrame:
    """CSV bytes → text frame. More columns than needed are left out; fewer, or ragged rows, are refused. Raises BadExport."""
    reader = csv.reader(io.StringIO(_decoded(name, content), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _require_columns(name, header, columns)
        rows = [_row(name, reader.line_num, header, cells) for cells in reader if cells]
    except csv.Error as error:
        raise BadExport(f"{name!r} line {reader.line_num} is not CSV ({error}): quote cells that hold commas or line breaks") from error
    if not rows:
        raise BadExport(f"{name!r} has no rows: only its header came, so the export was cut off or its filter left nothing; make it again")
    wanted = [header.index(column) for column in columns]
    data: dict[str, list[int] | list[str]] = {"line": [line for line, _ in rows]}
    data |= {column: [cells[place] for _, cells in rows] for column, place in zip(columns, wanted, strict=True)}
    return pl.DataFrame(data, schema={"line": pl.Int64, **dict.fromkeys(columns, pl.String)})


def _bytes_of(folder: Path, name: str) -> bytes:
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError:
        found = sorted(path.name for path in folder.iterdir()) or "nothing"
        raise BadExport(
            f"{name!r} is missing from the export folder {str(folder)!r}, which holds {found}: export it again, whole"
        ) from None
    except OSError as error:
        raise BadExport(f"{name!r} in {str(folder)!r} cannot be read ({error.strerror}): let this process read it") from error
    if not content.strip():
        raise BadExport(f"{name!r} in {str(folder)!r} is empty: the export was cut off, make it again")
    return content


def _decoded(name: str, content: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            raise BadExport(f"{name!r} is {encoding}, not UTF-8: {_recode(name, encoding)}")
    if b"\0" in content:
        raise BadExport(f"{name!r} has zero bytes, so it is UTF-16 or no text at all, not UTF-8: {_recode(name, 'UTF-16')}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise BadExport(
            f"{name!r} line {line} is not UTF-8 (byte 0x{byte:02x}); an export in Windows-1252 or Latin-1 looks so: "
            f"{_recode(name, 'WINDOWS-1252')}"
        ) from error


def _recode(name: str, encoding: str) -> str:
    return f"save it as 'CSV UTF-8', or `iconv -f {encoding} -t UTF-8 {name}`"


def _require_columns(name: str, header: list[str], columns: tuple[str, ...]) -> None:
    if missing := [column for column in columns if column not in header]:
        raise BadExport(f"{name!r} has no column {', '.join(map(repr, missing))}; its header is {header}: add or rename the column")
    if twice := sorted({column for column in columns if header.count(column) > 1}):
        raise BadExport(f"{name!r} has the column {', '.join(map(repr, twice))} more than once: keep one of each")


def _row(name: str, line: int, header: list[str], cells: list[str]) -> tuple[int, list[str]]:
    if len(cells) != len(header):
        raise BadExport(f"{name!r} line {line} has {len(cells)} cells where the header has {len(header)}: quote cells that hold commas")
    return line, cells
