"""A person who asks to be erased is: nowhere in the database, never written to again, and the audit log still proves all it proved."""

import psycopg
import pytest
from psycopg import sql

from shared.events import ActorType, Verdict
from spine import contacts, documents
from spine.audit import Actor, seals, verify
from spine.effects import Completed, Failed
from spine.errors import Conflict, InvalidInput, NotFound
from spine.vault import erasure
from tests.governance.support import NOON, Desk

ADMIN = Actor(ActorType.HUMAN, "root")
EMAIL = "buyer@acme.example"  # whom `desk` knows as contact/1


def erase(desk: Desk, contact_id: str = "contact/1", reason: str = "request 17") -> erasure.Erased:
    with desk.database.tenant(desk.tenant) as conn:
        return erasure.erase(conn, tenant_id=desk.tenant, contact_id=contact_id, actor=ADMIN, reason=reason, now=NOON)


def everything(desk: Desk, url: str) -> str:
    """Every value of every table of this tenant, as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("select table_name from information_schema.columns where column_name = 'tenant_id'").fetchall()
        found = [
            connection.execute(
                sql.SQL("select t::text from {} t where tenant_id = %s").format(sql.Identifier(str(table))), (desk.tenant,)
            ).fetchall()
            for (table,) in tables
        ]
    return str(found)


def test_nothing_of_the_person_is_left_and_the_seals_hold(desk: Desk, superuser_url: str) -> None:
    proposed = desk.runnable(payload={"contact_id": "contact/1", "subject": "Dear Sara Quine", "body": "You are Sara Quine."})
    assert isinstance(desk.execute(proposed.intent_id), Completed)
    with desk.database.tenant(desk.tenant) as conn:
        body = {"contact_id": "contact/1", "subject": "Dear Sara Quine", "body": "You are Sara Quine."}
        documents.put(conn, tenant_id=desk.tenant, kind="email", body=body, correlation_id="flow", now=NOON)
        seals.seal(conn, tenant_id=desk.tenant, now=NOON)
    assert "Sara Quine" in everything(desk, superuser_url)
    erased = erase(desk)
    assert (erased.texts, erased.open_intents) == (3, 0)
    left = everything(desk, superuser_url)
    assert "Sara Quine" not in left
    assert EMAIL not in left
    with desk.database.tenant(desk.tenant) as conn:
        seals.seal(conn, tenant_id=desk.tenant, now=NOON)
        found = verify.of_database(conn, tenant_id=desk.tenant)
    assert (found.fault, found.unsealed) == (None, 0)
    assert desk.intent(proposed.intent_id).digest == desk.approval(proposed.approval_id).digest, "who approved what stays provable"


def test_what_was_approved_before_is_not_sent_after(desk: Desk) -> None:
    proposed = desk.runnable()
    assert erase(desk).open_intents == 1
    outcome = desk.execute(proposed.intent_id)
    assert isinstance(outcome, Failed)
    assert (outcome.code, desk.provider.performed) == ("opted-out", 0)
    again = erase(desk)
    assert (again.texts, again.open_intents) == (1, 0)
    assert desk.intent(proposed.intent_id).payload["body"] == "[erased]"


def test_the_same_person_under_another_name_is_not_written_to_either(desk: Desk) -> None:
    erase(desk)
    for contact_id in ("contact/1", "contact/2"):
        with pytest.raises(Conflict, match="erased"), desk.database.tenant(desk.tenant) as conn:
            contacts.upsert_contact(conn, tenant_id=desk.tenant, contact_id=contact_id, account="Acme", email=EMAIL.upper())


def test_a_later_consent_does_not_bring_the_person_back(desk: Desk) -> None:
    erase(desk)
    with desk.database.tenant(desk.tenant) as conn:
        contacts.record_consent(
            conn, tenant_id=desk.tenant, contact_id="contact/1", purpose="marketing", channel="email", source="form", now=NOON
        )
        (known,) = contacts.known_contacts(conn, tenant_id=desk.tenant, now=NOON)
    assert (known.consents, set(known.opted_out), known.account) == ((), set(contacts.CHANNELS), "(erased)")


def test_the_audit_row_names_who_and_why_and_not_whom_by_name(desk: Desk) -> None:
    erase(desk, reason=f"request of {EMAIL}")
    (row,) = desk.sql("select actor_id, subject_id, detail from audit_log where action = 'contact.erased'")
    assert (row["actor_id"], row["subject_id"], row["detail"]["reason"]) == ("root", "contact/1", "request of [email]")


def test_another_persons_texts_stay(desk: Desk) -> None:
    desk.contact("contact/2")
    proposed = desk.propose(payload={"contact_id": "contact/2", "subject": "Hello", "body": "…"})
    desk.decide(proposed.approval_id, "ana", Verdict.REJECT, reason="no")
    erase(desk)
    assert desk.intent(proposed.intent_id).payload["subject"] == "Hello"


def test_erasing_takes_a_reason_and_a_contact_that_is_there(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="reason"):
        erase(desk, reason=" ")
    with pytest.raises(NotFound):
        erase(desk, "contact/nobody")
