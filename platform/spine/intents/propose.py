from collections.abc import Collection

from spine.clock import Clock
from spine.db import Connection
from spine.intents.records import Proposal, Proposed
from spine.policy import PolicyTable


def propose(
    conn: Connection, proposal: Proposal, *, policy: PolicyTable, clock: Clock, effects_allowed: Collection[str] | None
) -> Proposed:
    raise NotImplementedError
