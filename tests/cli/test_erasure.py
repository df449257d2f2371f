"""`spine contacts erase` and `rewrap`: an admin's, on record, and final."""

import pytest

from spine.identity import Role
from tests.cli.conftest import Spine
from tests.conftest import VAULT_KEY
from tests.gateway.conftest import Door


def test_a_person_is_erased_once_and_for_all(office: Door, spine: Spine) -> None:
    office.message()  # knows contact/globex
    told = spine("contacts", "erase", "contact/globex", "--reason", "request 17", role=Role.ADMIN, person="root")
    assert told.code == 0, told.error
    assert "nobody writes to it again" in told.out
    assert "1 intents that are still open" in told.out
    (known,) = [one for one in spine("contacts", "list", "--addresses", "--json").json() if one["contact_id"] == "contact/globex"]
    assert (known["has_email"], known["account"], known["consents"]) == (False, "(erased)", [])
    again = spine("contacts", "add", "--account", "Globex", "--email", "buyer@globex.example", "--id", "contact/other")
    assert again.code == 3
    assert "buyer@globex.example" not in again.error


def test_erasing_is_an_admins_and_takes_a_contact_that_is_there(office: Door, spine: Spine) -> None:
    office.message()
    assert spine("contacts", "erase", "contact/globex", "--reason", "x").code == 5
    assert spine("contacts", "erase", "contact/nobody", "--reason", "x", role=Role.ADMIN, person="root").code == 4


def test_a_new_master_key_takes_over_by_one_command(office: Door, spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    office.message()
    newer = "a-newer-master-secret-of-the-tests-of-commands"
    monkeypatch.setenv("SPINE_VAULT_KEY", f"{newer},{VAULT_KEY}")
    assert "2 data keys were wrapped anew" in spine("contacts", "rewrap", role=Role.ADMIN, person="root").out
    monkeypatch.setenv("SPINE_VAULT_KEY", newer)
    (known,) = [one for one in spine("contacts", "list", "--addresses", "--json").json() if one["contact_id"] == "contact/globex"]
    assert known["email"] == "buyer@globex.example"
    monkeypatch.setenv("SPINE_VAULT_KEY", VAULT_KEY)
    assert spine("contacts", "list", "--addresses").code == 7
