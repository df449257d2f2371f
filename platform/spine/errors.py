"""Every error the platform raises on purpose.

    SpineError
    ├── InvalidInput               400  the caller's data does not fit; the message names the field and the cure
    │   ├── SchemaViolation        422  a payload breaks its published schema
    │   ├── UnknownEventType       422  no such type and version in the catalogue
    │   ├── IncompleteProposal     422  what policy needs to judge is missing (evidence, correlation id)
    │   └── BadExport              422  a data export that cannot be read as described
    ├── NotAuthenticated           401
    ├── NotAllowed                 403  authenticated, but not for this
    │   ├── TenantMismatch         403  also a security event
    │   └── PolicyDenied           403  the gate said no
    ├── RateLimited                429  too many calls, or too many wrong credentials; later, yes
    ├── NotFound                   404
    ├── Conflict                   409  the record is not in a state that allows this
    │   ├── IllegalMove            409  a state machine refused the move
    │   ├── ApprovalRefused        409  this person, or this payload, cannot decide this approval
    │   ├── BudgetExceeded         409  what is left does not cover it; `next_allowed_at` says when there is more, if ever
    │   │   └── BudgetThrottled    409  what is left is kept for more urgent work
    │   ├── CallInProgress         409  the same call is being worked on at this moment
    │   └── IdempotencyConflict    422  same key, other payload
    ├── Misconfigured              500  the installation is wrong; the message says what to set
    ├── ProviderError
    │   ├── ProviderRefused        502  the provider said no; nothing happened; sending again will not help
    │   ├── ProviderUnavailable    503  nothing happened; sending again may help
    │   └── OutcomeUnknown         504  it may have happened: ask the provider, never send again blindly
    └── NotYet                     409  allowed later; `not_before` says when

Each class has a stable `code` (used in problem bodies, audit rows and Temporal failure types), an HTTP status, and
says whether a retry by the same caller can help.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar


class SpineError(Exception):
    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False


class InvalidInput(SpineError):
    code = "invalid-input"
    http_status = 400


class SchemaViolation(InvalidInput):
    code = "schema-violation"
    http_status = 422


class UnknownEventType(InvalidInput):
    code = "unknown-event-type"
    http_status = 422


class IncompleteProposal(InvalidInput):
    code = "incomplete-proposal"
    http_status = 422


class BadExport(InvalidInput):
    code = "bad-export"
    http_status = 422


class NotAuthenticated(SpineError):
    code = "not-authenticated"
    http_status = 401


class NotAllowed(SpineError):
    code = "not-allowed"
    http_status = 403


class TenantMismatch(NotAllowed):
    code = "tenant-mismatch"


class PolicyDenied(NotAllowed):
    code = "policy-denied"


class RateLimited(SpineError):
    """`headers` say when, for the answer: Retry-After in seconds, and those of the IETF's rate limit draft."""

    code = "rate-limited"
    http_status = 429
    retryable = True

    def __init__(self, message: str, *, headers: Mapping[str, str]) -> None:
        super().__init__(message)
        self.headers = headers


class NotFound(SpineError):
    code = "not-found"
    http_status = 404


class Conflict(SpineError):
    code = "conflict"
    http_status = 409


class IllegalMove(Conflict):
    code = "illegal-move"


class ApprovalRefused(Conflict):
    code = "approval-refused"


class BudgetExceeded(Conflict):
    """Not begun: it might cost more than is left. A business outcome, not a fault.

    `next_allowed_at` is aware; None: waiting does not help.
    """

    code = "budget-exhausted"

    def __init__(self, message: str, *, next_allowed_at: datetime | None = None) -> None:
        super().__init__(message)
        self.next_allowed_at = next_allowed_at


class BudgetThrottled(BudgetExceeded):
    code = "budget-throttled"


class CallInProgress(Conflict):
    code = "call-in-progress"
    retryable = True


class IdempotencyConflict(Conflict):
    code = "idempotency-conflict"
    http_status = 422


class Misconfigured(SpineError):
    code = "misconfigured"


class ProviderError(SpineError):
    code = "provider-error"
    http_status = 502


class ProviderRefused(ProviderError):
    code = "provider-refused"


class ProviderUnavailable(ProviderError):
    code = "provider-unavailable"
    http_status = 503
    retryable = True


class OutcomeUnknown(ProviderError):
    code = "outcome-unknown"
    http_status = 504
    retryable = True


class NotYet(Conflict):
    """Allowed later. `not_before` is aware, in UTC."""

    code = "not-yet"

    def __init__(self, message: str, *, not_before: datetime) -> None:
        super().__init__(message)
        self.not_before = not_before
