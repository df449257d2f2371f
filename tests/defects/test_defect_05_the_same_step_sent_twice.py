"""Defect 5: a due step was not reserved, a crash between the send and the commit sent it again, and a retry repeated the whole
chain. Here a step has one key, the books say that it has begun before it begins, and the provider is asked before anything is sent
a second time.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from spine.errors import OutcomeUnknown
from tests.governance.support import Crash, Desk


def test_a_crash_after_the_send_and_before_the_commit_sends_nothing_twice(desk: Desk) -> None:
    approved = desk.runnable()
    desk.provider.perform_script = ["crash_after"]
    with pytest.raises(Crash):
        desk.execute(approved.intent_id)
    desk.execute(approved.intent_id)
    assert desk.state(approved.intent_id) == "completed"
    assert (desk.provider.performed, desk.provider.asked) == (1, 1), "asked, not sent again"


def test_two_workers_that_reach_the_same_step_at_once_send_it_once(desk: Desk) -> None:
    approved = desk.runnable()

    def send() -> None:
        with suppress(OutcomeUnknown):  # the other one is at it
            desk.execute(approved.intent_id)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(send) for _ in range(4)]:
            done.result()
    desk.execute(approved.intent_id)
    assert len(desk.provider.happened) == 1
    assert desk.state(approved.intent_id) == "completed"


def test_a_step_that_is_proposed_again_is_the_same_step(desk: Desk) -> None:
    proposal = desk.proposal()
    first, again = desk.propose_exactly(proposal), desk.propose_exactly(proposal)
    assert again.intent_id == first.intent_id
    assert desk.sql("select count(*) as n from intents") == [{"n": 1}]
