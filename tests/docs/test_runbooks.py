"""What a runbook tells a person to run in an emergency runs."""

import re
from pathlib import Path

import psycopg

from spine.db import Database
from spine.identity import Role, authenticate, issue_key
from spine.ids import new_id

RUNBOOKS = Path(__file__).parents[2] / "docs/runbooks"


def test_every_page_is_in_the_index_and_every_link_leads_somewhere() -> None:
    index = (RUNBOOKS / "README.md").read_text()
    for page in RUNBOOKS.glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, f"{page.name} is not in the index"
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name} links {link}, which is not there"


def sql_of(page: str) -> str:
    [block] = re.findall(r"^```sql\n(.*?)^```$", (RUNBOOKS / page).read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_ledgers_line_is_found_with_the_rights_that_the_page_names(database: Database) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        conn.execute(sql_of("unknown-effects.md").replace("INTENT_ID", str(new_id())))


def test_a_key_that_somebody_still_has_becomes_an_admins(database: Database) -> None:
    with database.tenant("demo") as conn:
        key = issue_key(conn, tenant_id="demo", principal_id="sara.ops", role=Role.VIEWER)
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        conn.execute(sql_of("keys-and-roles.md").replace("KEY_ID", key.split(".")[2]))
    assert authenticate(database, key).role is Role.ADMIN


def test_the_streams_listener_is_looked_for_with_the_rights_of_the_application(database: Database) -> None:
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        conn.execute(sql_of("live-stream.md"))
