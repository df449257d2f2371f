"""The event log, which is the transactional outbox: a state change and its event commit together or not at all.

Write with `append` (envelopes) or `publish` (one event, wrapped). Read with `read`, `latest` and `events_of`. What must
happen because of an event is the work of a consumer group, see `spine.eventlog.groups`.
"""

from spine.eventlog.append import append, publish
from spine.eventlog.read import Place, Recorded, Seen, events_of, latest, read, scan

__all__ = ["Place", "Recorded", "Seen", "append", "events_of", "latest", "publish", "read", "scan"]
