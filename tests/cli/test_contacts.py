"""Contacts and consents by hand: who may do it, what is on record, and that addresses stay where they belong."""

import pytest

from spine import contacts
from spine.contacts import Contactable, NotContactable, judge_contact
from spine.identity import Role
from tests.cli.conftest import Spine
from tests.gateway.conftest import NOON, Door

ADDRESS = "buyer@globex.example"
ADD = ("contacts", "add", "--account", "Globex", "--email", ADDRESS)
AGREES = ("contacts", "consent", "--account", "Globex", "--source", "web-form")
OLGA = {"person": "olga", "role": Role.OPERATOR}
VIC = {"person": "vic", "role": Role.VIEWER}


def judged(office: Door, channel: str = "email") -> Contactable | NotContactable:
    with office.database.tenant("acme") as conn:
        now = NOON.replace(hour=13)
        facts = contacts.contact_facts(conn, tenant_id="acme", contact_id="contact/globex", purpose="marketing", channel=channel, now=now)
        return judge_contact(facts, now)


def test_a_contact_may_be_written_to_after_its_consent_and_never_after_an_opt_out(spine: Spine, office: Door) -> None:
    assert "contact/globex (Globex): agreed to nothing" in spine(*ADD, **OLGA).out
    assert judged(office) == NotContactable("no-consent")
    assert "agreed to marketing/email" in spine(*AGREES, **OLGA).out
    assert judged(office) == Contactable()
    gone = spine("contacts", "opt-out", "--id", "contact/globex", "--source", "mail", "--json", **OLGA).json()
    assert (gone["consents"], gone["opted_out"]) == ([], ["email"])
    spine(*AGREES, **OLGA)
    assert judged(office) == NotContactable("opted-out")


def test_every_change_is_on_record_by_its_person_without_the_address(spine: Spine, office: Door) -> None:
    spine(*ADD, **OLGA)
    spine(*AGREES, **OLGA)
    spine("contacts", "opt-out", "--account", "Globex", "--source", "mail", **OLGA)
    for action in ("contact.recorded", "contact.consented", "contact.opted_out"):
        assert office.count("audit_log", f"action = '{action}' and actor_id = 'olga' and subject_id = 'contact/globex'") == 1
    assert office.count("audit_log", "detail::text like '%@%'") == 0


def test_a_viewer_sees_who_is_known_but_no_address_and_writes_nothing(spine: Spine, office: Door) -> None:
    spine(*ADD, **OLGA)
    for shown in (spine("contacts", "list", **VIC), spine("contacts", "list", "--json", **VIC)):
        assert (shown.code, "contact/globex" in shown.out, ADDRESS in shown.out) == (0, True, False)
    assert spine("contacts", "list", "--addresses", **VIC).code == 5
    assert [one["email"] for one in spine("contacts", "list", "--addresses", "--json", **OLGA).json()] == [ADDRESS]
    for arguments in (ADD, AGREES, ("contacts", "opt-out", "--account", "Globex", "--source", "x")):
        assert spine(*arguments, **VIC).code == 5
    assert office.count("consents") == 0


def test_a_contact_told_again_without_an_address_keeps_the_one_it_has(spine: Spine) -> None:
    spine(*ADD, **OLGA)
    spine("contacts", "add", "--account", "Globex Ltd", "--id", "contact/globex", **OLGA)
    (only,) = spine("contacts", "list", "--addresses", "--json", **OLGA).json()
    assert (only["account"], only["email"]) == ("Globex Ltd", ADDRESS)


def test_another_tenants_contacts_are_not_shown(spine: Spine) -> None:
    spine(*ADD, **OLGA)
    assert spine("contacts", "list", "--json", tenant="rival", **OLGA).json() == []
    assert spine(*AGREES, tenant="rival", **OLGA).code == 4


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("add", "--account", "Globex", "--email", "nobody"), 6, "--email"),
        (("add", "--account", "Globex", "--email", "a@b.example\nBcc: c@d.example"), 6, "--email"),
        (("add", "--account", "a@b.example"), 6, "--account"),
        (("add", "--account", "!!!"), 6, "no letter or digit"),
        (("add", "--account", "Globex", "--id", "a@b.example"), 6, "--id"),
        (("consent", "--source", "x"), 6, "--account"),
        (("consent", "--source", "x", "--account", "Nobody"), 4, "'contact/nobody'"),
    ],
)
def test_what_does_not_fit_is_refused_without_repeating_an_address(
    spine: Spine, office: Door, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = spine("contacts", *arguments, **OLGA)
    assert (done.code, says in done.error, "b.example" in done.error) == (code, True, False), done
    assert office.count("contacts") == 0


def test_a_consent_that_has_run_out_is_not_in_force(spine: Spine, office: Door) -> None:
    spine(*ADD, **OLGA)
    with office.database.tenant("acme") as conn:
        then = {"purpose": "sales", "channel": "email", "source": "x", "now": NOON.replace(year=2025)}
        contacts.record_consent(conn, tenant_id="acme", contact_id="contact/globex", **then)  # type: ignore[arg-type]
    assert spine(*AGREES, "--channel", "phone", "--json", **OLGA).json()["consents"] == ["marketing/phone"]
