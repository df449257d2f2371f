"""What comes from outside: tasks asked for by hand, facts told by others, decisions of people, reports of providers.

The gateway and the command line both come through here, so that both refuse the same things. Everything is written in the
caller's transaction: the event, and the audit row that says who told us. Nothing here starts anything: the event does.
"""

from spine.intake.decisions import take_decision
from spine.intake.facts import OWN_DOMAINS, Fact, Taken, event_type_of, publish_fact
from spine.intake.tasks import Task, TaskTaken, asked_first, request_task
from spine.intake.webhooks import WEBHOOK_PROVIDERS, WebhookTaken, take_webhook

__all__ = [
    "OWN_DOMAINS",
    "WEBHOOK_PROVIDERS",
    "Fact",
    "Taken",
    "Task",
    "TaskTaken",
    "WebhookTaken",
    "asked_first",
    "event_type_of",
    "publish_fact",
    "request_task",
    "take_decision",
    "take_webhook",
]
