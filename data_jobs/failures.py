"""The one place where our errors become Dagster's."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from spine.errors import SpineError


@contextmanager
def told_to_dagster() -> Iterator[None]:
    """A SpineError becomes a Failure that shows the message and its code in the UI.

    It is retried, where the asset has a retry policy, only if the error says that a retry can help. Anything else passes
    unchanged: an error that nobody foresaw should look like one.
    """
    try:
        yield
    except SpineError as error:
        raise dg.Failure(str(error), metadata={"code": error.code}, allow_retries=error.retryable) from error
