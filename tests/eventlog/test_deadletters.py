"""Dead letters: seen, handed back or given up by a person, and audited."""

import threading
import time
from datetime import timedelta

import pytest

from shared.events import ActorType
from spine import audit, deadletters
from spine.db import Database
from spine.errors import Conflict, InvalidInput, NotFound
from spine.eventlog.groups import ConsumerGroup
from spine.eventlog.outcomes import Delivered, Refused
from spine.ids import new_id
from tests.eventlog.events import NOW, WON, ScriptedDispatcher, envelope, write

ANA = audit.Actor(ActorType.HUMAN, "ana")


def group(database: Database, dispatch: ScriptedDispatcher) -> ConsumerGroup:
    return ConsumerGroup(database=database, name="revenue", types=frozenset({WON}), dispatch=dispatch)


def the_letter(database: Database, state: deadletters.State = "open") -> deadletters.DeadLetter:
    with database.tenant("demo") as conn:
        [letter] = deadletters.listing(conn, tenant_id="demo", state=state).items
    return letter


def decide(database: Database, how: object, letter: deadletters.DeadLetter, reason: str = "fixed") -> deadletters.DeadLetter:
    with database.tenant("demo") as conn:
        return how(conn, tenant_id="demo", dead_letter_id=letter.dead_letter_id, actor=ANA, reason=reason, now=NOW)


def test_a_retried_event_is_handed_on_again_and_the_person_is_on_record(database: Database) -> None:
    write(database, envelope("d-1"))
    dispatch = ScriptedDispatcher(d_1=[Refused("bad-data", "poison"), Delivered("started", "t")])
    group(database, dispatch).drain()
    assert decide(database, deadletters.retry, the_letter(database)).state == "retried"
    assert group(database, dispatch).drain().outcomes == {"started": 1}
    assert group(database, dispatch).drain().outcomes == {}
    with database.tenant("demo") as conn:
        actions = [(row.actor.id, row.action) for row in audit.rows(conn, tenant_id="demo")]
    assert actions == [("consumer:revenue", "event.dead_lettered"), ("ana", "dead_letter.retried")]


def test_a_member_at_work_takes_up_a_retried_event_at_once(database: Database) -> None:
    write(database, envelope("d-1"))
    dispatch = ScriptedDispatcher(d_1=[Refused("bad-data", "poison"), Delivered("started", "t")])
    group(database, dispatch).drain()
    turn = threading.Thread(target=lambda: group(database, dispatch).take_turn(work=timedelta(seconds=2)))
    turn.start()
    time.sleep(0.5)
    decide(database, deadletters.retry, the_letter(database))
    time.sleep(0.7)
    assert dispatch.seen == ["d-1", "d-1"]
    turn.join()


def test_an_event_that_dies_again_is_the_same_open_letter_with_its_attempts_added_up(database: Database) -> None:
    write(database, envelope("d-1"))
    dispatch = ScriptedDispatcher(d_1=[Refused("bad-data", "poison")])
    group(database, dispatch).drain()
    first = the_letter(database)
    decide(database, deadletters.retry, first)
    group(database, dispatch).drain()
    again = the_letter(database)
    assert (again.dead_letter_id, again.attempts, again.resolved_by) == (first.dead_letter_id, 2, None)


def test_a_discarded_event_stays_dead_and_cannot_be_decided_twice(database: Database) -> None:
    write(database, envelope("d-1"))
    dispatch = ScriptedDispatcher(d_1=[Refused("bad-data", "poison")])
    group(database, dispatch).drain()
    letter = the_letter(database)
    with pytest.raises(InvalidInput, match="reason"):
        decide(database, deadletters.discard, letter, reason=" ")
    decide(database, deadletters.discard, letter, reason="a test order")
    assert the_letter(database, "discarded").resolution == "a test order"
    with pytest.raises(Conflict, match="'discarded'"):
        decide(database, deadletters.retry, letter)
    assert group(database, dispatch).drain().outcomes == {}


def test_another_tenants_letter_is_not_found(database: Database) -> None:
    write(database, envelope("d-1", tenant_id="other"))
    group(database, ScriptedDispatcher(d_1=[Refused("bad-data", "poison")])).drain()
    with database.tenant("other") as conn:
        [letter] = deadletters.listing(conn, tenant_id="other").items
    with pytest.raises(NotFound):
        decide(database, deadletters.retry, letter)
    with database.tenant("demo") as conn, pytest.raises(NotFound):
        deadletters.show(conn, tenant_id="demo", dead_letter_id=new_id())
