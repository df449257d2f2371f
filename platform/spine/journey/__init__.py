"""One business flow, from the first event to the last effect, over all planes, on one timeline.

Everything is read from the platform's own database: what Temporal and Dagster did shows in deliveries, intents, effects and the
sources of events, and `links` leads to their pages. All times are business time; what is kept in real time is converted.
"""

from spine.journey.records import Journey, Link, Step, page_of_steps, run_url, with_links, workflow_url
from spine.journey.search import Found, recent, search
from spine.journey.timeline import journey

__all__ = ["Found", "Journey", "Link", "Step", "journey", "page_of_steps", "recent", "run_url", "search", "with_links", "workflow_url"]
