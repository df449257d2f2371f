"""Dead letters are looked at, handed back and given up at the command line, by those who may, on record."""

import json

import pytest

from spine import deadletters
from spine.eventlog.groups import ConsumerGroup
from spine.eventlog.outcomes import Delivered, Refused
from spine.identity import Role
from spine.ids import new_id
from tests.cli.conftest import Spine
from tests.eventlog.events import WON, ScriptedDispatcher, envelope, write
from tests.gateway.conftest import NOON, Door


@pytest.fixture
def group(office: Door) -> ConsumerGroup:
    """A group that refuses every event at first, and starts it when it comes again."""
    dispatch = ScriptedDispatcher(d_1=[Refused("bad-data", "poison"), Delivered("started", "t")])
    return ConsumerGroup(database=office.database, name="revenue", types=frozenset({WON}), dispatch=dispatch)


@pytest.fixture
def letter(office: Door, group: ConsumerGroup) -> str:
    """The id of a dead letter: an event that the group refused."""
    write(office.database, envelope("d-1", tenant_id="acme"))
    group.drain()
    with office.database.tenant("acme") as conn:
        [found] = deadletters.listing(conn, tenant_id="acme").items
    return str(found.dead_letter_id)


def test_a_dead_letter_is_listed_and_shown_with_its_way_on(spine: Spine, letter: str) -> None:
    listed = spine("dead-letters", "list").out
    assert letter in listed
    assert "poison" in listed
    (row,) = spine("dead-letters", "list", "--json").json()
    assert (row["dead_letter_id"], row["consumer"], row["error_code"], row["body"]) == (letter, "revenue", "bad-data", None)
    shown = spine("dead-letters", "show", letter).out
    assert "bad-data: poison" in shown
    assert "spine journey flow-1" in shown
    assert '"deal_id": "d-1"' in shown
    assert "no dead letters are discarded" in spine("dead-letters", "list", "--state", "discarded").out


def test_a_retried_event_is_taken_up_again_and_it_is_known_by_whom(spine: Spine, office: Door, group: ConsumerGroup, letter: str) -> None:
    done = spine("dead-letters", "retry", letter, "--reason", "mended", "--json", role=Role.OPERATOR).json()
    assert (done["state"], done["resolved_by"], done["resolution"]) == ("retried", "omar", "mended")
    assert group.drain().outcomes == {"started": 1}
    assert office.count("audit_log", "action = 'dead_letter.retried' and actor_id = 'omar' and trace_id is not null") == 1
    again = spine("dead-letters", "retry", letter)
    assert (again.code, "'retried', not open" in again.error) == (3, True)


def test_a_dead_letter_is_given_up_with_a_reason_or_not_at_all(spine: Spine, group: ConsumerGroup, letter: str) -> None:
    assert spine("dead-letters", "discard", letter).code == 2
    blank = spine("dead-letters", "discard", letter, "--reason", " ")
    assert (blank.code, "needs a reason" in blank.error) == (6, True)
    assert "is discarded" in spine("dead-letters", "discard", letter, "--reason", "a test order").out
    assert "by omar" in spine("dead-letters", "show", letter).out
    assert "no dead letters are open" in spine("dead-letters", "list").out
    assert group.drain().outcomes == {}


def test_who_may_only_look_sees_no_body_and_who_may_not_decide_gives_nothing_up(spine: Spine, letter: str) -> None:
    assert '"deal_id"' not in spine("dead-letters", "show", letter, person="vic", role=Role.VIEWER).out
    assert spine("dead-letters", "retry", letter, person="vic", role=Role.VIEWER).code == 5
    assert spine("dead-letters", "discard", letter, "--reason", "no", person="olga", role=Role.OPERATOR).code == 5
    assert [one["state"] for one in spine("dead-letters", "list", "--json").json()] == ["open"]


def test_what_is_no_letter_of_the_tenants_is_not_found(spine: Spine, letter: str) -> None:
    for unknown, tenant in (("nope", "acme"), (str(new_id()), "acme"), (letter, "rival")):
        for command in (("show",), ("retry",), ("discard", "--reason", "gone")):
            done = spine("dead-letters", command[0], unknown, *command[1:], tenant=tenant)
            assert (done.code, "`spine dead-letters list`" in done.error) == (4, True), done
    assert spine("dead-letters", "list", "--json", tenant="rival").json() == []


def test_a_webhook_is_read_once_more_and_stays_open_while_it_cannot_be_understood(spine: Spine, office: Door) -> None:
    with office.database.tenant("acme") as conn:
        letter = deadletters.add(
            conn,
            tenant_id="acme",
            plane="webhook",
            reference="msg-1",
            consumer="gateway/webhooks/esign",
            correlation_id=None,
            error_code="schema-violation",
            error="no deal",
            attempts=1,
            body={"data": {"envelope_id": "env-1", "status": "completed"}},
            now=NOON,
        )
    refused = spine("dead-letters", "retry", str(letter))
    assert (refused.code, "deal_id" in refused.error) == (6, True)
    assert [one["state"] for one in spine("dead-letters", "list", "--json").json()] == ["open"]
    mended = json.dumps({"data": {"envelope_id": "env-1", "status": "completed", "deal_id": "D-1"}})
    done = spine("dead-letters", "edit", str(letter), "--body", "-", "--reason", "the deal was missing", "--json", given=mended).json()
    assert (done["state"], bool(done["successor"])) == ("edited", True)
    assert office.count("events", "type = 'spine.signature.reported.v1'") == 1


def test_many_of_one_kind_are_counted_first_and_then_decided(spine: Spine, office: Door, group: ConsumerGroup, letter: str) -> None:
    kind = ("bulk", "discard", "--code", "bad-data", "--reason", "a test")
    assert "1 letters are of this kind" in spine("dead-letters", *kind).out
    assert spine("dead-letters", *kind, "--expected", "0").code == 3
    assert spine("dead-letters", *kind, person="olga", role=Role.OPERATOR).code == 5
    assert spine("dead-letters", *kind, "--expected", "1", "--json").json()["done"] == [letter]
    assert "every circuit is closed" in spine("dead-letters", "circuits").out
    assert spine("dead-letters", "reset", "event", "revenue", "bad-data", "--reason", "mended").code == 4
