"""A bad export is refused whole, naming the file, the place and the cure."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_jobs.defs.crm.cleaning import clean_reference, require_day_first
from data_jobs.defs.crm.export import ACCOUNTS, COLUMNS, PIPELINE, PRODUCTS, SALES_TEAMS, parse, read_export
from spine.errors import BadExport


def rewritten(name: str, change: Callable[[str], str | bytes]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        changed = change((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_bytes(changed if isinstance(changed, bytes) else changed.encode())

    return spoil


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


BAD = {
    "a missing file": (removed(PRODUCTS), ["'products.csv' is missing", "export it again"]),
    "an empty file": (rewritten(SALES_TEAMS, lambda text: ""), ["'sales_teams.csv'", "is empty", "make it again"]),
    "a header and nothing else": (
        rewritten(PIPELINE, lambda text: text.splitlines(keepends=True)[0]),
        ["'sales_pipeline.csv' has no rows:", "make it again"],
    ),
    "a missing column": (
        rewritten(PIPELINE, lambda text: text.replace("close_value", "amount", 1)),
        ["'sales_pipeline.csv' has no column 'close_value'", "'amount'", "rename"],
    ),
    "a column given twice": (
        rewritten(PRODUCTS, lambda text: text.replace("series", "product", 1).replace("sales_price", "series,sales_price", 1)),
        ["'products.csv' has the column 'product' more than once"],
    ),
    "Latin-1": (
        rewritten(ACCOUNTS, lambda text: text.replace("Juno", "Junó", 1).encode("latin-1")),
        ["'accounts.csv' line", "not UTF-8 (byte 0xf3)", "iconv -f WINDOWS-1252 -t UTF-8 accounts.csv"],
    ),
    "UTF-16": (rewritten(PIPELINE, lambda text: text.encode("utf-16")), ["'sales_pipeline.csv' is UTF-16", "iconv -f UTF-16"]),
    "UTF-16 without its mark": (rewritten(PIPELINE, lambda text: text.encode("utf-16-le")), ["zero bytes", "iconv -f UTF-16"]),
    "UTF-32": (rewritten(PIPELINE, lambda text: text.encode("utf-32")), ["is UTF-32"]),
    "a ragged row": (
        rewritten(PRODUCTS, lambda text: text + "Lumo, Extra,Lumo,10\n"),
        ["'products.csv' line 8 has 4 cells where the header has 3", "quote"],
    ),
    "broken quoting": (rewritten(PRODUCTS, lambda text: text + '"Lumo Extra"x,Lumo,10\n'), ["'products.csv' line 8 is not CSV"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_export_is_refused_naming_the_file_and_the_cure(case: str, export_folder: Path) -> None:
    spoil, said = BAD[case]
    spoil(export_folder)
    with pytest.raises(BadExport) as refused:
        read_export(export_folder)
    for words in said:
        assert words in str(refused.value)


def test_a_folder_that_is_not_there_is_refused_naming_the_setting(tmp_path: Path) -> None:
    with pytest.raises(BadExport, match=r"nowhere.*SPINE_CRM_EXPORT"):
        read_export(tmp_path / "nowhere")


BAD_REFERENCE = {
    "a number that is none": (ACCOUNTS, lambda text: text.replace("631.50", "much", 1), ["'accounts.csv' line 2: revenue is 'much'"]),
    "a blank name": (PRODUCTS, lambda text: text.replace("Lumo Basic,", " ,", 1), ["'products.csv' line 2: product is blank"]),
    "one name in two spellings": (
        ACCOUNTS,
        lambda text: text + "juno&partners,retail,2001,1.0,10,Kenya,\n",
        ["'accounts.csv' line 44: account 'juno&partners' is there already"],
    ),
}


@pytest.mark.parametrize("case", BAD_REFERENCE)
def test_a_bad_cell_in_a_reference_file_is_a_bad_export(case: str, export_folder: Path) -> None:
    name, change, said = BAD_REFERENCE[case]
    rewritten(name, change)(export_folder)
    frames = read_export(export_folder).frames
    with pytest.raises(BadExport) as refused:
        clean_reference(frames[ACCOUNTS], frames[PRODUCTS], frames[SALES_TEAMS])
    for words in said:
        assert words in str(refused.value)


def test_a_date_column_in_another_notation_is_a_bad_export(export_folder: Path) -> None:
    lines = (export_folder / PIPELINE).read_text(encoding="utf-8").splitlines()
    turned = [lines[0]]
    for line in lines[1:]:
        cells = line.split(",")
        cells[5] = "-".join(reversed(cells[5].split("-")))
        turned.append(",".join(cells))
    (export_folder / PIPELINE).write_text("\n".join(turned), encoding="utf-8")
    with pytest.raises(BadExport, match=r"'sales_pipeline.csv' column 'engage_date'.*line 2: '2023-07-03'.*DD-MM-YYYY"):
        require_day_first(read_export(export_folder).frames[PIPELINE])


def test_a_byte_order_mark_windows_line_ends_and_further_columns_are_fine(export_folder: Path) -> None:
    before = read_export(export_folder).frames[PRODUCTS]
    text = (export_folder / PRODUCTS).read_text(encoding="utf-8")
    wider = "\r\n".join(f"{line},note" for line in text.splitlines())
    (export_folder / PRODUCTS).write_bytes(b"\xef\xbb\xbf" + wider.encode())
    assert read_export(export_folder).frames[PRODUCTS].equals(before)


def test_the_version_follows_the_bytes_and_not_the_folder(export_folder: Path, tmp_path: Path) -> None:
    moved = export_folder.rename(tmp_path / "elsewhere")
    version = read_export(moved).version
    assert read_export(moved).version == version
    with (moved / PRODUCTS).open("a", encoding="utf-8") as file:
        file.write("Lumo Extra,Lumo,10\n")
    assert read_export(moved).version != version


def test_a_cell_may_hold_commas_and_line_breaks() -> None:
    frame = parse(PRODUCTS, b'product,series,sales_price\n"Lumo, the\nfirst",Lumo,10\nKite,Kite,5\n', COLUMNS[PRODUCTS])
    assert frame["product"].to_list() == ["Lumo, the\nfirst", "Kite"]
    assert frame["line"].to_list() == [3, 4]  # where the row ends
