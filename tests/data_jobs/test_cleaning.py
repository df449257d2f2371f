from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_jobs.defs.crm.checks import every_change_is_in_the_ledger, every_row_is_accounted_for
from data_jobs.defs.crm.cleaning import Opportunities, Reference, clean_opportunities, clean_reference, repairs_by_kind, require_day_first
from data_jobs.defs.crm.export import ACCOUNTS, COLUMNS, PIPELINE, PRODUCTS, SALES_TEAMS
from spine.errors import BadExport

DAYS = {"first_day": date(2015, 1, 1), "last_day": date(2025, 12, 31)}
GOOD = ("A1", "Mara Selwick", "Lumo Pro", "Palimware", "Won", "20-10-2023", "01-03-2024", "1054")
PLACE = {name: place for place, name in enumerate(COLUMNS[PIPELINE])}


def frame(name: str, *rows: tuple[str, ...]) -> pl.DataFrame:
    columns = {column: [row[place] for row in rows] for place, column in enumerate(COLUMNS[name])}
    return pl.DataFrame({"line": list(range(2, len(rows) + 2)), **columns}, schema={"line": pl.Int64, **dict.fromkeys(columns, pl.String)})


def reference() -> Reference:
    return clean_reference(
        frame(
            ACCOUNTS,
            ("Palimware", "technolgy", "1996", "1100.04", "2822", "Philipines", ""),
            ("Rusko Foods", "retail", "", "", "", "Korea", ""),
        ),
        frame(PRODUCTS, ("Lumo Pro", "Lumo", "4780"), ("Kite Mini", "Kite", "60.50")),
        frame(SALES_TEAMS, ("Mara Selwick", "Dalia Drost", "North"), ("Ilan Orbanne", "Dalia Drost", "South")),
    )


def row(**changes: str) -> tuple[str, ...]:
    return tuple(changes.get(column, GOOD[place]) for column, place in PLACE.items())


def cleaned(*rows: tuple[str, ...]) -> Opportunities:
    return clean_opportunities(frame(PIPELINE, *rows), reference(), **DAYS)


def test_a_clean_row_is_kept_with_its_types() -> None:
    found = cleaned(row())
    assert found.counts() == {"rows_read": 1, "rows_kept": 1, "rows_repaired": 0, "rows_quarantined": 0}
    only = found.accepted.row(0, named=True)
    assert (only["engage_date"], only["close_date"], only["month"]) == (date(2023, 10, 20), date(2024, 3, 1), "2023-10")
    assert only["close_value"] == Decimal("1054.00")


def test_a_day_first_date_is_in_the_ledger_and_leaves_the_row_kept() -> None:
    found = cleaned(row())
    assert found.repairs.filter(pl.col("kind") == "day_first_date").select("column", "found", "became").rows() == [
        ("engage_date", "20-10-2023", "2023-10-20"),
        ("close_date", "01-03-2024", "2024-03-01"),
    ]


@pytest.mark.parametrize(
    ("change", "column", "became", "kind"),
    [
        ({"product": "LumoPro"}, "product", "Lumo Pro", "product_spelling"),
        ({"product": "lumo-PRO"}, "product", "Lumo Pro", "product_spelling"),
        ({"sales_agent": "mara selwick"}, "sales_agent", "Mara Selwick", "agent_spelling"),
        ({"account": "Palim ware"}, "account", "Palimware", "account_spelling"),
        ({"account": "null", "deal_stage": "Engaging", "close_date": ""}, "account", None, "blank_account"),
        ({"account": "", "deal_stage": "Engaging", "close_date": ""}, "account", None, "blank_account"),
        ({"product": " Lumo Pro "}, "product", "Lumo Pro", "surrounding_space"),
    ],
)
def test_a_repair_is_named_and_counted(change: dict[str, str], column: str, became: str | None, kind: str) -> None:
    found = cleaned(row(**change))
    assert found.counts()["rows_repaired"] == 1
    assert found.accepted[column].to_list() == [became]
    ledger = found.repairs.filter(pl.col("kind") != "day_first_date")
    assert ledger.select("file", "line", "column", "kind", "found", "became").rows() == [
        (PIPELINE, 2, column, kind, change[column], became)
    ]


@pytest.mark.parametrize(
    ("change", "reason", "column"),
    [
        ({"opportunity_id": " "}, "missing_id", "opportunity_id"),
        ({"deal_stage": "won"}, "unknown_stage", "deal_stage"),
        ({"product": "Lumo Pr"}, "unknown_product", "product"),
        ({"sales_agent": ""}, "unknown_agent", "sales_agent"),
        ({"account": "Nobody Inc"}, "unlisted_account", "account"),
        ({"engage_date": "31-02-2023"}, "bad_date", "engage_date"),
        ({"engage_date": "10-20-2023"}, "bad_date", "engage_date"),
        ({"close_date": "2024-03-01"}, "bad_date", "close_date"),
        ({"close_date": "soon"}, "bad_date", "close_date"),
        ({"engage_date": "20-10-1923"}, "date_out_of_range", "engage_date"),
        ({"close_date": "01-03-2924"}, "date_out_of_range", "close_date"),
        ({"engage_date": ""}, "missing_engage_date", "engage_date"),
        ({"close_date": ""}, "missing_close_date", "close_date"),
        ({"close_date": "19-10-2023"}, "closes_before_engaged", "close_date"),
        ({"close_value": "1,054"}, "bad_value", "close_value"),
        ({"close_value": "1e3"}, "bad_value", "close_value"),
        ({"close_value": "-5"}, "negative_value", "close_value"),
        ({"close_value": ""}, "missing_close_value", "close_value"),
    ],
)
def test_what_cannot_be_repaired_is_quarantined_as_it_came_with_reason_place_and_cure(
    change: dict[str, str], reason: str, column: str
) -> None:
    found = cleaned(row(opportunity_id="Z0"), row(**change))
    assert found.accepted.height == 1
    only = found.quarantine.row(0, named=True)
    assert (only["line"], only["reason"], only["column"]) == (3, reason, column)
    assert tuple(only[name] for name in COLUMNS[PIPELINE]) == row(**change)
    assert only["message"].startswith(f"sales_pipeline.csv line 3: {column} is '{change[column]}'; ")


def test_of_two_rows_with_one_id_the_first_stays() -> None:
    found = cleaned(row(), row(product="Kite Mini"))
    assert found.accepted["line"].to_list() == [2]
    assert found.quarantine.select("line", "reason").rows() == [(3, "duplicate_id")]


def test_a_prospect_needs_no_date_and_has_no_month() -> None:
    found = cleaned(row(deal_stage="Prospecting", engage_date="", close_date="", close_value=""))
    assert found.accepted.select("month", "disposition").rows() == [(None, "kept")]


def test_sectors_and_countries_are_corrected_from_a_list_and_counted() -> None:
    found = reference()
    assert found.accounts.select("sector", "office_location").rows() == [("technology", "Philippines"), ("retail", "South Korea")]
    assert repairs_by_kind(found.repairs) == {"country_spelling": 2, "sector_spelling": 1}


def test_one_bad_date_is_a_bad_row_and_most_of_them_a_bad_export() -> None:
    require_day_first(frame(PIPELINE, row(), row(engage_date="soon")))
    with pytest.raises(BadExport, match=r"column 'engage_date': 2 of 3 .* line 3: 'soon'"):
        require_day_first(frame(PIPELINE, row(), row(engage_date="soon"), row(engage_date="2023-10-20")))


dirty = st.fixed_dictionaries(
    {},
    optional={
        "opportunity_id": st.sampled_from(["A1", "A2", "", "A3 "]) | st.text(max_size=6),
        "sales_agent": st.sampled_from(["Ilan Orbanne", "ilanorbanne", " Mara Selwick"]) | st.text(max_size=12),
        "product": st.sampled_from(["LumoPro", "Kite Mini", "kite mini "]) | st.text(max_size=12),
        "account": st.sampled_from(["null", "NULL", "", " ", "Rusko Foods", "rusko"]) | st.text(max_size=12),
        "deal_stage": st.sampled_from(["Won", "Lost", "Engaging", "Prospecting", " Won", "won", ""]),
        "engage_date": st.sampled_from(["", "01-01-2024", " 01-01-2024", "29-02-2023", "29-02-2024", "1-1-2024"])
        | st.text("0123456789-", max_size=11),
        "close_date": st.sampled_from(["", "01-01-2024", "31-12-2025", "01-01-2026"]) | st.text("0123456789-", max_size=11),
        "close_value": st.sampled_from(["", "0", "12.50", "-1", "999999999999.99", "9999999999999"]) | st.text(max_size=8),
    },
)


@given(rows=st.lists(dirty, max_size=25))
@settings(max_examples=25, deadline=None)
def test_whatever_the_dirt_kept_and_repaired_and_quarantined_is_read_and_no_change_is_silent(rows: list[dict[str, str]]) -> None:
    came = frame(PIPELINE, *(row(**changes) for changes in rows))
    found = clean_opportunities(came, reference(), **DAYS)
    counts = found.counts()
    assert counts["rows_kept"] + counts["rows_repaired"] + counts["rows_quarantined"] == counts["rows_read"] == len(rows)
    assert every_row_is_accounted_for(found.accepted, came, found.quarantine).passed
    assert every_change_is_in_the_ledger(found.accepted, came, found.repairs).passed


def test_the_ledger_check_sees_a_silent_change_and_an_invented_one() -> None:
    came = frame(PIPELINE, row())
    found = clean_opportunities(came, reference(), **DAYS)
    silent = found.accepted.with_columns(product=pl.lit("Kite Mini"))
    assert not every_change_is_in_the_ledger(silent, came, found.repairs).passed
    invented = pl.concat([found.repairs, found.repairs.head(1).with_columns(column=pl.lit("product"))])
    assert not every_change_is_in_the_ledger(found.accepted, came, invented).passed


def test_the_account_of_rows_sees_a_row_that_was_dropped_and_one_that_is_there_twice() -> None:
    came = frame(PIPELINE, row(), row(opportunity_id="A2"))
    found = clean_opportunities(came, reference(), **DAYS)
    assert not every_row_is_accounted_for(found.accepted.head(1), came, found.quarantine).passed
    assert not every_row_is_accounted_for(pl.concat([found.accepted.head(1)] * 2), came, found.quarantine).passed
