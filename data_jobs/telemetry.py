"""Traces of a run: each published event starts one, see `spine.telemetry`."""

from collections.abc import Iterator
from contextlib import contextmanager

from spine.settings import Settings
from spine.telemetry import setup_telemetry


@contextmanager
def traced(settings: Settings) -> Iterator[None]:
    """Spans of the block have real ids, and are sent before it ends: a run's process is gone a moment later."""
    provider = setup_telemetry("data_jobs", settings)
    try:
        yield
    finally:
        provider.force_flush()
