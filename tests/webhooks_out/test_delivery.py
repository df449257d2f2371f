"""Events on their way to those who asked."""

from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from shared.events import Envelope, LeadQualified
from spine import deadletters, webhooks_out
from spine.audit import Actor
from spine.eventlog.outcomes import Report
from spine.webhooks_out.deliver import DELAYS, take_turn
from tests.shared.samples import SAMPLES
from tests.webhooks_out.conftest import ADMIN, NOON, REPLIED, Office, Receiver, body_of

LEAD = next(one for one in SAMPLES if isinstance(one, LeadQualified))


def test_an_event_arrives_signed_under_its_own_id_and_as_its_envelope(office: Office, receiver: Receiver) -> None:
    endpoint_id, secret = office.add(receiver.url)
    event_id = office.publish()
    assert office.deliver() == 1
    ((headers, body),) = receiver.got
    assert headers["webhook-id"] == event_id
    assert headers["content-type"].startswith("application/cloudevents+json")
    assert Webhook(secret).verify(body, headers)["type"] == REPLIED
    assert Envelope.from_json(body).tenantid == "acme"
    (told,) = office.deliveries()
    assert (told.state, told.attempts, told.status, told.endpoint_id) == ("delivered", 1, 204, endpoint_id)
    assert office.deliver() == 0


def test_only_what_was_asked_for_of_the_own_tenant_and_from_now_on(office: Office, receiver: Receiver) -> None:
    office.publish()
    office.add(receiver.url, "outreach.replied")
    wanted = office.publish()
    office.publish(LEAD)
    office.publish(tenant="rival")
    office.deliver()
    assert receiver.ids == [wanted]


def test_the_same_event_enters_the_books_once_however_often_it_is_read(office: Office, receiver: Receiver) -> None:
    office.add(receiver.url)
    office.publish()
    office.fan_out()
    with office.database.relay() as conn:
        conn.execute("update consumer_offsets set xid = '0', position = 0")  # a crash between the rows and the offset
    office.fan_out()
    assert len(office.deliveries()) == 1


def test_what_fails_is_tried_again_under_the_same_id_and_does_not_hold_up_others(office: Office, receiver: Receiver) -> None:
    office.add(receiver.url)
    receiver.script = [500]
    first, second = office.publish(), office.publish()
    office.deliver()
    assert {one.state for one in office.deliveries()} == {"waiting", "delivered"}
    assert office.send() == 0  # not yet
    office.due_now()
    office.send()
    assert {one.state for one in office.deliveries()} == {"delivered"}
    assert sorted(set(receiver.ids)) == sorted([first, second])
    assert len(receiver.ids) == 3


def test_a_sender_that_dies_after_the_post_leaves_a_row_that_another_sends_again_under_the_same_id(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.add(receiver.url)
    event_id = office.publish()
    office.fan_out()

    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr("spine.webhooks_out.deliver.Sender._settle", die)
        with pytest.raises(Died):
            office.send()
    assert office.send() == 0  # its lease has not run out
    office.due_now()
    assert office.send() == 1
    assert receiver.ids == [event_id, event_id]
    assert [(one.state, one.attempts) for one in office.deliveries()] == [("delivered", 2)]


def test_after_the_last_attempt_it_is_a_dead_letter_that_a_person_can_send_again(office: Office, receiver: Receiver) -> None:
    office.add(receiver.url)
    receiver.script = [503] * (len(DELAYS) + 1)
    event_id = office.publish()
    office.fan_out()
    for _ in range(len(DELAYS) + 1):
        office.due_now()
        office.send()
    assert [(one.state, one.attempts, one.error) for one in office.deliveries()] == [("dead", len(DELAYS) + 1, "HTTP 503")]
    (letter,) = office.sql("select dead_letter_id, plane, reference, error_code, state from dead_letters")
    assert (letter["plane"], letter["reference"], letter["error_code"]) == ("delivery", event_id, "not-taken")
    with office.database.tenant("acme") as conn:
        deadletters.retry(
            conn, tenant_id="acme", dead_letter_id=letter["dead_letter_id"], actor=ADMIN, reason="it is up again", now=NOON
        )  # fmt: skip
    office.send()
    assert [one.state for one in office.deliveries()] == ["delivered"]
    assert set(receiver.ids) == {event_id}


def test_an_endpoint_that_takes_nothing_for_long_is_disabled_and_says_so(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.add(receiver.url)
    receiver.script = [500] * 100
    for _ in range(3):
        office.publish()
    office.fan_out()
    for _ in range(len(DELAYS) + 1):
        office.due_now()
        office.send()
    assert (office.endpoint(endpoint_id).state, office.endpoint(endpoint_id).why_disabled) == ("disabled", "given-up")
    assert len(office.sql("select from events where type = 'spine.webhook.endpoint_disabled.v1'")) == 1
    receiver.script.clear()
    office.publish()
    assert office.deliver() == 0
    with office.database.tenant("acme") as conn:
        webhooks_out.enable_endpoint(conn, tenant_id="acme", endpoint_id=endpoint_id, actor=ADMIN, now=NOON)
    last = office.publish()
    office.deliver()
    assert receiver.ids[-1] == last


def test_a_receiver_that_is_gone_is_told_nothing_more(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.add(receiver.url)
    receiver.script = [410]
    office.publish()
    office.deliver()
    office.due_now()
    assert office.send() == 0
    assert office.endpoint(endpoint_id).why_disabled == "gone"


def test_a_redirect_is_not_followed(office: Office, receiver: Receiver) -> None:
    office.add(receiver.url)
    receiver.script = [302]
    office.publish()
    office.deliver()
    assert len(receiver.got) == 1
    assert office.deliveries()[0].state == "waiting"


def test_while_a_secret_changes_both_sign_and_afterwards_the_old_one_does_not(office: Office, receiver: Receiver) -> None:
    endpoint_id, old = office.add(receiver.url)
    with office.database.tenant("acme") as conn:
        new = webhooks_out.rotate_secret(conn, tenant_id="acme", endpoint_id=endpoint_id, actor=ADMIN, now=NOON)
    office.publish()
    office.deliver()
    headers, body = receiver.got[0]
    assert len(headers["webhook-signature"].split()) == 2
    Webhook(old).verify(body, headers)
    Webhook(new).verify(body, headers)
    with office.database.tenant("acme") as conn:
        newest = webhooks_out.rotate_secret(conn, tenant_id="acme", endpoint_id=endpoint_id, actor=ADMIN, now=NOON, overlap=timedelta())
    office.publish()
    office.deliver()
    headers, body = receiver.got[1]
    Webhook(newest).verify(body, headers)
    for retired in (old, new):
        with pytest.raises(WebhookVerificationError):
            Webhook(retired).verify(body, headers)


def test_a_secret_that_does_not_open_fails_its_own_delivery_and_holds_up_no_other(office: Office, receiver: Receiver) -> None:
    broken, _ = office.add(receiver.url)
    office.add(receiver.url)
    damaged = "update webhook_endpoint_secrets set sealed = 'v1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'"
    office.sql(f"{damaged} where endpoint_id = '{broken}' returning secret_id")
    office.publish()
    office.deliver()
    assert len(receiver.got) == 1
    told = {one.endpoint_id: one for one in office.deliveries()}
    assert (told[broken].state, told[broken].attempts) == ("waiting", 1)
    assert "does not open" in (told[broken].error or "")


def test_a_secret_is_not_in_the_database_as_it_is(office: Office, receiver: Receiver) -> None:
    _, secret = office.add(receiver.url)
    (row,) = office.sql("select * from webhook_endpoint_secrets")
    assert secret.removeprefix("whsec_") not in str(row)


def test_a_ping_goes_to_its_endpoint_only_whatever_that_one_listens_to(office: Office, receiver: Receiver) -> None:
    pinged, _ = office.add(receiver.url, "lead.qualified")
    office.add(receiver.url + "/other")
    with office.database.tenant("acme") as conn:
        event_id = webhooks_out.ping(conn, tenant_id="acme", endpoint_id=pinged, actor=ADMIN, now=NOON)
    office.deliver()
    assert receiver.ids == [event_id]
    assert body_of(receiver)["data"] == {"endpoint_id": str(pinged)}


def test_a_removed_endpoint_is_told_nothing_even_of_what_waited(office: Office, receiver: Receiver) -> None:
    endpoint_id, _ = office.add(receiver.url)
    office.publish()
    office.fan_out()
    with office.database.tenant("acme") as conn:
        webhooks_out.remove_endpoint(conn, tenant_id="acme", endpoint_id=endpoint_id, actor=ADMIN, now=NOON)
        assert webhooks_out.endpoints(conn, tenant_id="acme") == []
    assert office.send() == 0
    assert receiver.got == []


def test_in_a_turn_what_is_committed_arrives_within_seconds(office: Office, receiver: Receiver) -> None:
    office.add(receiver.url)
    event_id = office.publish()
    report: Report = take_turn(
        office.database, office.clock, may_be_private=True, standby=timedelta(seconds=5), work=timedelta(seconds=1.5)
    )
    assert report.held_lease
    assert receiver.ids == [event_id]


def test_every_change_of_an_endpoint_is_on_record_without_its_secret(office: Office, receiver: Receiver) -> None:
    endpoint_id, secret = office.add(receiver.url, "outreach.replied")
    who: Actor = ADMIN
    with office.database.tenant("acme") as conn:
        webhooks_out.rotate_secret(conn, tenant_id="acme", endpoint_id=endpoint_id, actor=who, now=NOON)
        webhooks_out.remove_endpoint(conn, tenant_id="acme", endpoint_id=endpoint_id, actor=who, now=NOON)
    rows = office.sql("select action, actor_id, detail::text as detail from audit_log order by position")
    assert [row["action"] for row in rows] == [f"webhook_endpoint.{what}" for what in ("added", "rotated", "removed")]
    assert all(row["actor_id"] == "ada" and secret not in row["detail"] for row in rows)
