"""One verdict on many letters: counted first, capped, each decided and audited by itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, assert_never
from uuid import UUID

from spine import audit
from spine.db import Connection
from spine.deadletters.decide import discard, retry
from spine.deadletters.records import Filter
from spine.deadletters.store import count, listing
from spine.errors import Conflict, InvalidInput, SpineError

MOST = 500
"""Letters of one call: it is one transaction, and a long one that writes holds back every reader of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """`matched` letters there were, `done` of them were decided; the others are `refused`, each with its reason, or beyond the cap."""

    matched: int
    done: tuple[UUID, ...] = ()
    refused: tuple[tuple[UUID, str], ...] = ()


def bulk(
    conn: Connection,
    *,
    tenant_id: str,
    filter: Filter,  # noqa: A002 - what it is
    verdict: Literal["retry", "discard"],
    reason: str,
    actor: audit.Actor,
    now: datetime,
    expected: int | None = None,
    limit: int = MOST,
) -> Bulk:
    """Decide the open letters of a kind, oldest first. Without `expected` it is a dry run: it counts and decides nothing.

    `expected` is the count that the person saw: when there are more by now, somebody else's letters would be swept along, so it
    is refused. Raises Conflict for that, and InvalidInput for a filter that names nothing, or letters that are not open.
    """
    if filter.state != "open":
        raise InvalidInput(f"letters that are {filter.state!r} are decided already: only open ones can be decided")
    if not filter.named().keys() - {"state"}:
        raise InvalidInput("a bulk decision needs a kind: name the plane, the consumer or the error code")
    matched = count(conn, tenant_id=tenant_id, filter=filter)
    if expected is None:
        return Bulk(matched=matched)
    if matched > expected:
        raise Conflict(f"{matched} letters are of this kind by now, {expected} were seen: count them again, then decide")
    letters = listing(conn, tenant_id=tenant_id, limit=min(limit, MOST), **filter.named())  # type: ignore[arg-type]
    done: list[UUID] = []
    refused: list[tuple[UUID, str]] = []
    for letter in letters.items:
        try:
            with conn.transaction():  # a savepoint: one that is refused leaves the others decided
                match verdict:
                    case "retry":
                        retry(conn, tenant_id=tenant_id, dead_letter_id=letter.dead_letter_id, actor=actor, reason=reason, now=now)
                    case "discard":
                        discard(conn, tenant_id=tenant_id, dead_letter_id=letter.dead_letter_id, actor=actor, reason=reason, now=now)
                    case other:
                        assert_never(other)
            done.append(letter.dead_letter_id)
        except InvalidInput as error:
            if not reason.strip():
                raise
            refused.append((letter.dead_letter_id, str(error)))
        except SpineError as error:
            refused.append((letter.dead_letter_id, str(error)))
    return Bulk(matched=matched, done=tuple(done), refused=tuple(refused))
