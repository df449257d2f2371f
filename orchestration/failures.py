"""Where the platform's errors become Temporal's: the one place.

An activity that raises a SpineError fails with an ApplicationError whose `type` is the error's stable `code`, retried if and
only if the error says that a retry can help. In workflow code a SpineError, or input that does not validate, fails the
workflow: anything else raised there is a bug, and retries the workflow *task* until a corrected worker is deployed (trap 19).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from pydantic import ValidationError
from temporalio.exceptions import ActivityError, ApplicationError

from shared.events import EventError
from spine.errors import SpineError
from spine.redact import redact

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

FAILS_THE_WORKFLOW: tuple[type[BaseException], ...] = (SpineError, EventError, ValidationError)
"""For `Worker(workflow_failure_exception_types=…)`: an error of the domain ends the commitment visibly."""


def application_error(error: SpineError | EventError | ValidationError) -> ApplicationError:
    """The same error in Temporal's terms, redacted: its histories are kept. Pydantic's messages quote values, so they are left out."""
    match error:
        case SpineError():
            return ApplicationError(redact(str(error)), type=error.code, non_retryable=not error.retryable)
        case EventError():
            return ApplicationError(redact(str(error)), type="schema-violation", non_retryable=True)
        case ValidationError():
            fields = ", ".join(sorted({".".join(map(str, found["loc"])) for found in error.errors(include_input=False)}))
            return ApplicationError(f"{error.title} does not fit: {fields}", type="schema-violation", non_retryable=True)


_BUGS = (TypeError, ValueError, LookupError, AttributeError, AssertionError, NotImplementedError)
_PASSING_SQLSTATES = ("08", "40", "53", "55", "57")
"""Classes of PostgreSQL errors that pass by themselves: connection, rollback, resources, locks, operator's hand."""


def _bug(error: Exception) -> ApplicationError | None:
    """What trying again cannot mend, without its message: a driver's message quotes rows. None for everything that may pass."""
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str) and not sqlstate.startswith(_PASSING_SQLSTATES):
        return ApplicationError(f"{type(error).__name__} (SQLSTATE {sqlstate})", type="internal", non_retryable=True)
    if isinstance(error, _BUGS):
        return ApplicationError(
            f"{type(error).__name__} in an activity; the worker's log has the place", type="internal", non_retryable=True
        )
    return None


@contextmanager
def in_temporal_terms() -> Iterator[None]:
    """Around the body of an activity. What is none of ours keeps its retries, unless it is plainly a bug."""
    try:
        yield
    except (SpineError, EventError, ValidationError) as error:
        raise application_error(error) from error
    except Exception as error:
        if (bug := _bug(error)) is not None:
            logger.exception("an activity failed for good")
            raise bug from None
        raise


def translated(activity: Callable[P, R]) -> Callable[P, R]:
    """The same as a decorator, under `@activity.defn`."""

    @wraps(activity)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with in_temporal_terms():
            return activity(*args, **kwargs)

    return wrapped


def code_of(error: BaseException) -> str:
    """The stable code of what an activity failed with, as seen from the workflow; `"timeout"` when time ran out."""
    cause = error.cause if isinstance(error, ActivityError) else error
    return (cause.type or "internal") if isinstance(cause, ApplicationError) else "timeout"
