"""`spine audit`: read, sealed, taken away and judged at the command line."""

from pathlib import Path

import pytest

from spine.identity import Role
from tests.cli.conftest import Spine
from tests.gateway.conftest import Door


@pytest.fixture
def sealed(office: Door, spine: Spine) -> int:
    """How many rows were sealed."""
    office.message()
    return int(spine("audit", "seal", "--json").json()["rows"])


def test_rows_are_listed_sealed_and_shown_with_their_proof(sealed: int, spine: Spine) -> None:
    page = spine("audit", "list", "--json").json()
    assert len(page["items"]) == sealed >= 3
    position = page["items"][0]["position"]
    shown = spine("audit", "show", str(position), "--json").json()
    assert shown["content"]["audit_id"] == page["items"][0]["audit_id"]
    assert f"in seal {shown['seal']['number']}" in spine("audit", "show", str(position)).out
    assert "nothing to seal" in spine("audit", "seal").out


def test_rows_are_listed_page_by_page(sealed: int, spine: Spine) -> None:
    whole = [row["position"] for row in spine("audit", "list", "--json").json()["items"]]
    page = spine("audit", "list", "--limit", "2", "--json").json()
    assert f"--cursor {page['next']}" in spine("audit", "list", "--limit", "2").out
    rest = spine("audit", "list", "--cursor", page["next"], "--json").json()
    assert [row["position"] for row in (*page["items"], *rest["items"])] == whole


def test_an_export_of_a_log_that_is_not_sealed_yet_is_not_called_proof(spine: Spine, office: Door, tmp_path: Path) -> None:
    office.message()
    file = tmp_path / "audit.jsonl"
    assert spine("audit", "export", "--to", str(file), role=Role.ADMIN, person="root").code == 0
    told = spine("audit", "verify", str(file), person=None)
    assert (told.code, "`spine audit seal` seals it now" in told.out, "keep the head" in told.out) == (0, True, False)


def test_an_export_is_judged_with_its_anchor_and_is_on_record(sealed: int, spine: Spine, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    assert spine("audit", "export", "--to", str(file), role=Role.ADMIN, person="root").code == 0
    found = spine("audit", "verify", str(file), "--json").json()
    assert (found["is_whole"], found["rows"]) == (True, sealed)
    assert spine("audit", "verify", "--json").json()["head"] == found["head"]
    assert spine("audit", "verify", str(file), "--anchor", found["head"], person=None).code == 0
    other = spine("audit", "verify", str(file), "--anchor", "sha256:" + "0" * 64, person=None)
    assert other.code == 1
    assert "another history" in other.out
    assert [row["actor"] for row in spine("audit", "list", "--action", "audit.exported", "--json").json()["items"]] == ["root"]


def test_an_export_that_was_changed_is_named_and_fails(sealed: int, spine: Spine, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    spine("audit", "export", "--to", str(file), role=Role.ADMIN, person="root")
    file.write_text(file.read_text(encoding="utf-8").replace("intent.proposed", "intent.imagined", 1), encoding="utf-8")
    told = spine("audit", "verify", str(file), person=None)
    assert told.code == 1
    assert "NOT AS SEALED (altered): the row at position" in told.out


def test_an_export_overwrites_nothing_and_is_an_admins(spine: Spine, tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.write_text("mine")
    assert spine("audit", "export", "--to", str(file), role=Role.ADMIN, person="root").code == 6
    assert file.read_text() == "mine"
    assert spine("audit", "export", "--to", str(tmp_path / "new")).code == 5
    assert spine("audit", "list", role=Role.VIEWER, person="vera").code == 5
    assert spine("audit", "verify", str(tmp_path / "nowhere")).code == 6
