"""Addresses lie sealed under a key of their person; without that key, moved to another row, or changed, they do not open."""

import psycopg
import pytest

from spine import contacts, vault
from spine.db import Database
from spine.errors import Conflict, Misconfigured
from spine.keyring import Keyring
from tests.conftest import VAULT_KEY
from tests.governance.support import NOON, Desk

OLD, NEW = "an-older-master-secret-of-the-tests", "a-newer-master-secret-of-the-tests"
EMAIL, PHONE = "sara@acme.example", "+966501234567"


def know(desk: Desk, contact_id: str = "contact/sara") -> None:
    with desk.database.tenant(desk.tenant) as conn:
        contacts.upsert_contact(conn, tenant_id=desk.tenant, contact_id=contact_id, account="Acme", email=EMAIL, phone=PHONE)


def test_the_row_tells_neither_address_and_whoever_may_reads_both(desk: Desk) -> None:
    know(desk)
    (row,) = desk.sql("select * from contacts where contact_id = 'contact/sara'")
    assert not {EMAIL, PHONE} & {str(value) for value in row.values()}
    assert "sara@" not in str(row)
    with desk.database.tenant(desk.tenant) as conn:
        assert contacts.contact_address(conn, desk.tenant, "contact/sara") == EMAIL
        assert contacts.contact_address(conn, desk.tenant, "contact/sara", "whatsapp") == PHONE
        (known,) = contacts.known_contacts(conn, tenant_id=desk.tenant, now=NOON, contact_id="contact/sara")
        assert (known.email, known.phone) == (EMAIL, PHONE)


def test_an_address_that_was_moved_to_another_person_or_field_does_not_open(desk: Desk) -> None:
    know(desk)
    know(desk, "contact/omar")
    desk.sql("update contacts set phone = email where contact_id = 'contact/sara'")
    desk.sql("update contacts set email = (select email from contacts where contact_id = 'contact/sara') where contact_id = 'contact/omar'")
    for contact_id, channel in (("contact/sara", "phone"), ("contact/omar", "email")):
        with pytest.raises(Misconfigured, match="does not open"), desk.database.tenant(desk.tenant) as conn:
            contacts.contact_address(conn, desk.tenant, contact_id, channel)


def test_a_data_key_that_was_moved_to_another_tenant_does_not_open(desk: Desk, shared_database: Database, superuser_url: str) -> None:
    know(desk)
    other = Desk(shared_database)
    with psycopg.connect(superuser_url) as connection:
        for table, columns in (("contacts", "contact_id, account, email"), ("subject_keys", "subject_id, wrapped")):
            copied = f"insert into {table} (tenant_id, {columns}) select %s, {columns} from {table} where tenant_id = %s"
            connection.execute(copied.encode(), (other.tenant, desk.tenant))
    with pytest.raises(Misconfigured, match="does not open"), other.database.tenant(other.tenant) as conn:
        contacts.contact_address(conn, other.tenant, "contact/sara")


def test_without_a_master_key_no_address_is_kept_and_none_is_read(desk: Desk) -> None:
    know(desk)
    with Database(desk.database.app_url) as blind:
        with pytest.raises(Misconfigured, match="SPINE_VAULT_KEY"), blind.tenant(desk.tenant) as conn:
            contacts.upsert_contact(conn, tenant_id=desk.tenant, contact_id="contact/new", account="New", email=EMAIL)
        with pytest.raises(Misconfigured, match="SPINE_VAULT_KEY"), blind.tenant(desk.tenant) as conn:
            contacts.contact_address(conn, desk.tenant, "contact/sara")


def test_another_installations_master_key_opens_nothing(desk: Desk) -> None:
    know(desk)
    stranger = Database(desk.database.app_url, keyring=Keyring.parse(NEW))
    with stranger, pytest.raises(Misconfigured, match="lacks master key"), stranger.tenant(desk.tenant) as conn:
        contacts.contact_address(conn, desk.tenant, "contact/sara")


def test_a_master_key_is_rotated_without_touching_an_address(desk: Desk) -> None:
    know(desk)
    before = desk.sql("select email, phone from contacts where contact_id = 'contact/sara'")
    with Database(desk.database.app_url, keyring=Keyring.parse(f"{NEW},{VAULT_KEY}")) as both, both.tenant(desk.tenant) as conn:
        assert vault.rewrap(conn, tenant_id=desk.tenant) >= 2
        assert vault.rewrap(conn, tenant_id=desk.tenant) == 0
    with Database(desk.database.app_url, keyring=Keyring.parse(NEW)) as new, new.tenant(desk.tenant) as conn:
        assert contacts.contact_address(conn, desk.tenant, "contact/sara") == EMAIL
    assert desk.sql("select email, phone from contacts where contact_id = 'contact/sara'") == before


def test_an_address_from_before_there_was_a_vault_is_read_and_sealed_when_it_is_written_again(desk: Desk) -> None:
    desk.sql("insert into contacts (tenant_id, contact_id, account, email) values (%s, 'contact/old', 'Old', %s)", desk.tenant, EMAIL)
    with desk.database.tenant(desk.tenant) as conn:
        assert contacts.contact_address(conn, desk.tenant, "contact/old") == EMAIL
    know(desk, "contact/old")
    assert EMAIL not in str(desk.sql("select * from contacts where contact_id = 'contact/old'"))


def test_equal_addresses_have_equal_marks_within_a_tenant_only(desk: Desk, shared_database: Database) -> None:
    other = Desk(shared_database)
    with desk.database.tenant(desk.tenant) as conn:
        mark = vault.address_mark(conn, desk.tenant, EMAIL)
        assert vault.address_mark(conn, desk.tenant, f" {EMAIL.upper()} ") == mark
        assert vault.address_mark(conn, desk.tenant, PHONE) != mark
    with other.database.tenant(other.tenant) as conn:
        assert vault.address_mark(conn, other.tenant, EMAIL) != mark


@pytest.mark.parametrize("text", ["", "short", f"{NEW},short"])
def test_a_master_key_that_can_be_guessed_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="at least 32"):
        Keyring.parse(text)


def test_a_keyring_never_prints_its_keys() -> None:
    assert repr(Keyring.parse(f"{NEW},{OLD}")).startswith("Keyring(current=")
    assert "_keys" not in repr(Keyring.parse(NEW))


def test_the_key_of_an_erased_person_does_not_come_back(desk: Desk) -> None:
    know(desk)
    with desk.database.tenant(desk.tenant) as conn:
        vault.destroy(conn, tenant_id=desk.tenant, subject_id="contact/sara", now=NOON)
        assert contacts.contact_address(conn, desk.tenant, "contact/sara") is None
        with pytest.raises(Conflict, match="was erased"):
            vault.seal(conn, tenant_id=desk.tenant, subject_id="contact/sara", field="email", text=EMAIL)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="does not come back"):
        desk.sql("update subject_keys set wrapped = 'v1.x.y', destroyed_at = null where subject_id = 'contact/sara'")
