"""Consumer groups: nothing stepped over, nothing lost, nobody blocked."""

import math
import threading
import time
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from spine.db import Database
from spine.eventlog import append
from spine.eventlog.groups import ConsumerGroup
from spine.eventlog.outcomes import Delivered, Failed, Refused, RetryRule, Unavailable
from tests.eventlog.events import WON, ScriptedDispatcher, envelope, write, write_unchecked

QUICK = RetryRule(first=timedelta(milliseconds=1), longest=timedelta(milliseconds=5), attempts=3)
MOMENT = timedelta(milliseconds=300)


def group(database: Database, dispatch: ScriptedDispatcher, *, retry: RetryRule = QUICK, **changes: object) -> ConsumerGroup:
    return ConsumerGroup(database=database, name="revenue", types=frozenset({WON}), dispatch=dispatch, retry=retry, **changes)


def deliveries(database: Database) -> dict[str, tuple[str, str, int]]:
    with database.relay() as conn:
        rows = conn.execute("select subject, state, outcome, attempts from deliveries join events using (position)")
        return {row["subject"]: (row["state"], row["outcome"], row["attempts"]) for row in rows}


def test_events_are_handed_on_once_and_the_books_say_so(database: Database) -> None:
    write(database, envelope("d-1"), envelope("d-2", tenant_id="other"))
    dispatch = ScriptedDispatcher()
    report = group(database, dispatch).drain()
    assert report.held_lease
    assert report.outcomes == {"started": 2}
    assert report.lag == 0
    assert group(database, dispatch).drain().outcomes == {}
    assert dispatch.seen == ["d-1", "d-2"]
    assert deliveries(database) == {"d-1": ("delivered", "started", 1), "d-2": ("delivered", "started", 1)}


def test_an_event_of_a_slow_transaction_is_not_stepped_over(database: Database) -> None:
    """The slow one draws its position first and commits last."""
    dispatch = ScriptedDispatcher()
    with psycopg.connect(database.app_url, row_factory=dict_row) as slow:
        slow.execute("select set_config('spine.tenant_id', 'demo', true)")
        append(slow, [envelope("slow")])
        write(database, envelope("quick"))
        assert group(database, dispatch).take_turn(work=MOMENT).outcomes == {}
        slow.commit()
    group(database, dispatch).drain()
    assert dispatch.seen == ["slow", "quick"]


def test_a_lower_position_in_a_later_transaction_is_not_stepped_over(database: Database) -> None:
    """A transaction has its number before the other begins, but draws its position after: positions and numbers disagree."""
    dispatch = ScriptedDispatcher()
    with (
        psycopg.connect(database.app_url, row_factory=dict_row) as older,
        psycopg.connect(database.app_url, row_factory=dict_row) as younger,
    ):
        for conn in (older, younger):
            conn.execute("select set_config('spine.tenant_id', 'demo', true)")
            conn.execute("select pg_current_xact_id()")
        append(younger, [envelope("lower-position")])
        append(older, [envelope("higher-position")])
        older.commit()
        assert group(database, dispatch).drain(at_most=MOMENT).outcomes == {"started": 1}
        assert dispatch.seen == ["higher-position"]
        younger.commit()
    group(database, dispatch).drain()
    assert dispatch.seen == ["higher-position", "lower-position"]


def test_what_the_horizon_holds_back_is_taken_as_soon_as_it_is_safe(database: Database) -> None:
    """The end of the transaction that held it back announces nothing, yet nobody waits for the next announcement."""
    dispatch = ScriptedDispatcher()
    with psycopg.connect(database.app_url) as unrelated:
        unrelated.execute("select pg_current_xact_id()")
        write(database, envelope("d-1"))
        ended: list[float] = []

        def end_it() -> None:
            time.sleep(0.3)
            ended.append(time.monotonic())
            unrelated.commit()

        thread = threading.Thread(target=end_it)
        thread.start()
        group(database, dispatch).drain()
        took = time.monotonic() - ended[0]
        thread.join()
    assert dispatch.seen == ["d-1"]
    assert took < 0.2


def test_a_crash_between_dispatch_and_commit_loses_nothing_and_hands_it_on_again(database: Database) -> None:
    write(database, envelope("d-1"), envelope("d-2"))
    dispatch = ScriptedDispatcher(d_2=[RuntimeError("killed"), Delivered("started", "t")])
    with pytest.raises(RuntimeError, match="killed"):
        group(database, dispatch).drain()
    assert deliveries(database) == {}
    group(database, dispatch).drain()
    assert dispatch.seen == ["d-1", "d-2", "d-1", "d-2"]
    assert {state for state, _, _ in deliveries(database).values()} == {"delivered"}


def test_a_poison_event_becomes_a_dead_letter_and_its_key_goes_on(database: Database) -> None:
    write(database, envelope("bad", partitionkey="k"), envelope("next", partitionkey="k"), envelope("other"))
    report = group(database, ScriptedDispatcher(bad=[Refused("bad-data", "it is poison")])).drain()
    assert report.outcomes == {"started": 2, "refused": 1, "dead": 1}
    assert "bad-data: it is poison" in str(report)
    assert deliveries(database)["bad"] == ("dead", "bad-data", 1)
    assert deliveries(database)["next"][0] == "delivered"
    with database.tenant("demo") as conn:
        letter = conn.execute("select * from dead_letters").fetchone()
        audit_row = conn.execute("select * from audit_log where action = 'event.dead_lettered'").fetchone()
    assert letter["error_code"] == "bad-data"
    assert letter["body"]["subject"] == "bad"
    assert audit_row["subject_id"] == letter["reference"]


def test_an_event_whose_payload_breaks_its_schema_is_a_dead_letter_that_names_the_field(database: Database, owner_url: str) -> None:
    broken = envelope("d-1")
    write_unchecked(owner_url, broken.model_copy(update={"data": {**broken.data, "closed_on": "yesterday"}}))
    write(database, envelope("d-2"))
    dispatch = ScriptedDispatcher()
    report = group(database, dispatch).drain()
    assert dispatch.seen == ["d-2"]
    assert report.outcomes == {"started": 1, "refused": 1, "dead": 1}
    with database.tenant("demo") as conn:
        letter = conn.execute("select error_code, error from dead_letters").fetchone()
    assert letter["error_code"] == "schema-violation"
    assert "closed_on" in letter["error"]


def test_an_event_of_a_version_nobody_knows_is_a_dead_letter_that_names_it(database: Database, owner_url: str) -> None:
    future = "spine.deal.won.v9"
    write_unchecked(owner_url, envelope("d-1", type=future))
    consumer = ConsumerGroup(database=database, name="revenue", types=frozenset({future}), dispatch=ScriptedDispatcher())
    assert "unknown-event-type" in str(consumer.drain())


def test_the_events_of_a_key_wait_behind_one_that_fails_and_others_do_not(database: Database) -> None:
    first, second, other = envelope("first", partitionkey="k"), envelope("second", partitionkey="k"), envelope("other")
    write(database, first, second, other)
    dispatch = ScriptedDispatcher(first=[Failed("not-now", "busy")])
    slow = RetryRule(first=timedelta(hours=1), longest=timedelta(hours=1))
    report = group(database, dispatch, retry=slow).take_turn(work=MOMENT)
    assert (report.outcomes, report.waiting) == ({"failed": 1, "started": 1}, 2)
    write(database, envelope("third", partitionkey="k"))
    group(database, dispatch, retry=slow).take_turn(work=MOMENT)
    assert dispatch.seen == ["first", "other"]
    assert deliveries(database)["third"] == ("waiting", "behind", 0)
    assert deliveries(database)["first"] == ("waiting", "not-now", 1)


def test_after_the_backoff_the_key_goes_on_in_order(database: Database) -> None:
    write(database, envelope("first", partitionkey="k"), envelope("second", partitionkey="k"), envelope("third", partitionkey="k"))
    dispatch = ScriptedDispatcher(first=[Failed("not-now", "busy"), Failed("not-now", "busy"), Delivered("started", "t")])
    report = group(database, dispatch).drain()
    assert dispatch.seen == ["first", "first", "first", "second", "third"]
    assert report.outcomes == {"failed": 2, "started": 3}
    assert deliveries(database)["first"] == ("delivered", "started", 3)


def test_attempts_that_are_exhausted_end_in_a_dead_letter_and_the_key_goes_on(database: Database) -> None:
    write(database, envelope("first", partitionkey="k"), envelope("second", partitionkey="k"))
    dispatch = ScriptedDispatcher(first=[Failed("not-now", "busy")])
    report = group(database, dispatch).drain()
    assert dispatch.seen == ["first", "first", "first", "second"]
    assert report.outcomes == {"failed": 3, "dead": 1, "started": 1}
    assert deliveries(database)["first"] == ("dead", "not-now", 3)


def test_while_the_engine_is_away_nothing_counts_and_nothing_new_is_taken_in(database: Database) -> None:
    write(database, envelope("d-1"))
    dispatch = ScriptedDispatcher(d_1=[Unavailable("down"), Unavailable("down"), Delivered("started", "t")])
    for _ in range(2):
        report = group(database, dispatch).take_turn(work=MOMENT)
        assert report.unavailable == "down"
        write(database, envelope("d-2"))
    assert "d-2" not in dispatch.seen
    assert deliveries(database) == {"d-1": ("waiting", "unavailable", 0)}
    assert group(database, dispatch).drain().outcomes == {"started": 3}


def test_the_standby_waits_in_the_database_and_takes_over_when_the_holder_dies(database: Database) -> None:
    consumer = group(database, ScriptedDispatcher())
    with psycopg.connect(database.relay_url, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(hashtextextended('spine.consumer_group/revenue', 0))")
        began = time.monotonic()
        assert not consumer.take_turn(standby=timedelta(milliseconds=200)).held_lease
        assert time.monotonic() - began >= 0.2

        write(database, envelope("d-1"))
        reports = []
        standby = threading.Thread(target=lambda: reports.append(consumer.take_turn(work=MOMENT)))
        standby.start()
        time.sleep(0.2)
        assert not reports
        with database.relay() as conn:  # the holder is killed, not asked
            conn.execute("select pg_terminate_backend(%s)", (holder.info.backend_pid,))
        standby.join(5)
    assert reports[0].outcomes == {"started": 1}


def test_who_has_lost_the_lease_has_lost_the_pen(database: Database) -> None:
    """A member cut off from the database in the middle of a dispatch cannot move the offset that another one moves now."""
    write(database, envelope("d-1"))

    class CutOff(ScriptedDispatcher):
        def __call__(self, lanes: object, stop_at: float) -> object:
            with database.relay() as conn:
                conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'spine group revenue'")
            return super().__call__(lanes, stop_at)

    with pytest.raises(psycopg.OperationalError):
        group(database, CutOff()).drain()
    assert deliveries(database) == {}
    assert group(database, ScriptedDispatcher()).drain().outcomes == {"started": 1}


def test_types_of_others_are_passed_by_without_being_read_twice(database: Database) -> None:
    write(database, *(envelope(f"d-{n}") for n in range(30)))
    other = ConsumerGroup(
        database=database, name="other", types=frozenset({"spine.lead.qualified.v1"}), dispatch=ScriptedDispatcher(), window=7
    )
    assert other.drain().outcomes == {}
    with database.relay() as conn:
        row = conn.execute("select position = (select max(position) from events) as is_at_the_end from consumer_offsets").fetchone()
    assert row["is_at_the_end"]
    assert deliveries(database) == {}


def test_windows_smaller_than_the_backlog_lose_nothing(database: Database) -> None:
    with database.tenant("demo") as conn:
        append(conn, [envelope(f"d-{n}") for n in range(100)])
    dispatch = ScriptedDispatcher()
    assert group(database, dispatch, window=7).drain().outcomes == {"started": 100}
    assert dispatch.seen == [f"d-{n}" for n in range(100)]


def test_a_turn_that_is_over_hands_on_what_it_has_not_begun_and_the_next_keeps_the_order(database: Database) -> None:
    with database.tenant("demo") as conn:
        append(conn, [envelope(f"d-{n}", partitionkey=f"k-{n % 10}") for n in range(40)])

    class Slow(ScriptedDispatcher):
        def __call__(self, lanes: object, stop_at: float) -> object:
            begun = super().__call__(lanes[:3], math.inf)
            time.sleep(max(0.0, stop_at - time.monotonic()))
            return begun + [[]] * (len(lanes) - 3)

    dispatch = Slow()
    assert group(database, dispatch).take_turn(work=MOMENT).waiting == 28
    dispatch = ScriptedDispatcher()
    group(database, dispatch).drain()
    assert len(dispatch.seen) == 28
    by_key = [[int(seen[2:]) for seen in dispatch.seen if int(seen[2:]) % 10 == key] for key in range(10)]
    assert by_key == [sorted(numbers) for numbers in by_key]


def test_the_backoff_grows_is_capped_and_gives_up() -> None:
    rule = RetryRule(first=timedelta(seconds=1), longest=timedelta(seconds=10), attempts=6)
    assert [rule.delay(n, chance=1.0) for n in range(1, 7)] == [*(timedelta(seconds=s) for s in (1, 2, 4, 8, 10)), None]
    assert rule.delay(3, chance=0.0) == timedelta(0)
