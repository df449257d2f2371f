from collections.abc import Mapping

from spine.audit import Actor
from spine.clock import Clock
from spine.db import Database
from spine.effects.connector import Connector
from spine.effects.results import Outcome
from spine.policy import PolicyTable


class Effects:
    def __init__(self, database: Database, connectors: Mapping[str, Connector], policy: PolicyTable, clock: Clock) -> None:
        self._database, self._connectors, self._policy, self._clock = database, connectors, policy, clock

    def execute(self, tenant_id: str, intent_id: str, *, actor: Actor) -> Outcome:
        raise NotImplementedError

    def reconcile(self, tenant_id: str, intent_id: str, *, actor: Actor) -> Outcome:
        raise NotImplementedError
