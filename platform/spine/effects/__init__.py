"""Effects: the one place from which a connector is called."""

from spine.effects.connector import Connector
from spine.effects.execute import Effects
from spine.effects.results import Completed, Deferred, Failed, NotRunnable, Outcome

__all__ = ["Completed", "Connector", "Deferred", "Effects", "Failed", "NotRunnable", "Outcome"]
