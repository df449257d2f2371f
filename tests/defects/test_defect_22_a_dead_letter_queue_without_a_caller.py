"""Defect 22: there was a dead letter queue, and nothing ever put anything in. Here every plane writes to it where its work is given
up, a letter is an end that people see and decide, and what is retried really runs again.
"""

import ast
from pathlib import Path
from typing import get_args

from shared.events import ActorType
from spine import deadletters
from spine.audit import Actor
from spine.deadletters import PLANES, Plane
from spine.eventlog.groups import ConsumerGroup
from spine.eventlog.outcomes import Delivered, Refused
from tests.eventlog.events import NOW, WON, ScriptedDispatcher, envelope, write
from tests.governance.support import Desk

ROOT = Path(__file__).parents[2]
WRITERS = {
    "event": "platform/spine/eventlog/books.py",
    "delivery": "platform/spine/webhooks_out/deliver.py",
    "activity": "orchestration/dead_letters.py",
    "graph": "orchestration/dead_letters.py",
    "webhook": "platform/spine/intake/webhooks.py",
    "data_job": "data_jobs/dead_letters.py",
}


def callers(path: Path) -> bool:
    """Does this module call `deadletters.add`?"""
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "deadletters.add"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


def test_every_plane_has_a_place_that_writes_its_letters() -> None:
    assert set(WRITERS) == set(PLANES) == set(get_args(Plane))
    assert [path for path in sorted(set(WRITERS.values())) if not callers(ROOT / path)] == []


def test_what_is_given_up_is_a_letter_with_an_owner_and_what_is_retried_runs(desk: Desk) -> None:
    name = f"revenue of {desk.tenant}"
    dispatch = ScriptedDispatcher(d_22=[Refused("bad-data", "poison"), Delivered("started", "t")])
    group = ConsumerGroup(database=desk.database, name=name, types=frozenset({WON}), dispatch=dispatch)
    write(desk.database, envelope("d-22", tenant_id=desk.tenant))
    group.drain()
    with desk.database.tenant(desk.tenant) as conn:
        [letter] = deadletters.listing(conn, tenant_id=desk.tenant, consumer=name).items
        assert (letter.state, letter.error_code) == ("open", "bad-data")
        ana = Actor(ActorType.HUMAN, "ana")
        done = deadletters.retry(conn, tenant_id=desk.tenant, dead_letter_id=letter.dead_letter_id, actor=ana, reason="mended", now=NOW)
    assert (done.state, done.resolved_by) == ("retried", "ana")
    assert group.drain().outcomes["started"] == 1
    assert dispatch.seen.count("d-22") == 2


def test_every_state_of_a_letter_is_said_on_the_audit_log(desk: Desk) -> None:
    with desk.database.tenant(desk.tenant) as conn:
        letter = deadletters.add(
            conn, tenant_id=desk.tenant, plane="delivery", reference="e-1", consumer="webhooks/1", correlation_id="flow-1",
            error_code="not-taken", error="HTTP 500", attempts=8, body={}, now=NOW,
        )  # fmt: skip
        given = {"tenant_id": desk.tenant, "dead_letter_id": letter, "actor": Actor(ActorType.HUMAN, "ana"), "now": NOW}
        deadletters.discard(conn, reason="the receiver is gone", **given)  # type: ignore[arg-type]
    said = [(row["action"], row["actor_id"]) for row in desk.sql("select action, actor_id from audit_log where subject_id = 'e-1'")]
    assert said == [("delivery.dead_lettered", "consumer:webhooks/1"), ("dead_letter.discarded", "ana")]
