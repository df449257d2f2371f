"""Idempotency-Key (IETF httpapi draft 07): the same call twice is one piece of work and one answer.

A key belongs to a principal of a tenant. No key → 400; the same key with another payload → 422; while the first call is at
work → 409; afterwards → its answer again. Work and answer are one transaction, so a call that failed left no answer and may
be sent again under its key. Answers are kept as long as the database keeps them; the fingerprint covers method, path and body.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, LiteralString

from psycopg.errors import UniqueViolation
from pydantic_core import to_json

from spine.db import Connection, Question, answer_to, at_last
from spine.errors import CallInProgress, IdempotencyConflict, InvalidInput

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False


def read_key(header: str | None) -> str:
    """The key, with or without the quotes of a structured-field string. Raises InvalidInput."""
    key = (header or "").strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise InvalidInput(
            f"{HEADER!r} is missing or not 1 to 128 visible characters: send a fresh one with each new request, such as a UUID, "
            "and the same one when you send a request again"
        )
    return key


def fingerprint(method: str, path: str, body: Mapping[str, Any]) -> str:
    """Of what is asked, not of how it is spelled: JSON with other blanks is the same call."""
    written = json.dumps(body, sort_keys=True, separators=(",", ":"))  # not RFC 8785: nobody else ever computes it
    return hashlib.sha256("\n".join([method, path, written]).encode()).hexdigest()


# The lock and the look in one round trip. The look sees what was committed when the statement began, so a call that ended between
# that and the lock is not seen; then `remember` finds its answer in the way, and nothing of the second one remains. Who has not proved
# to be the principal takes no lock: with a wrong secret, anybody could hold up the calls of the key's owner.
_RECALL: LiteralString = """
select who.*, held.mine, called.fingerprint, called.status, called.body
from ({who}) who
cross join lateral (
    select case when who.is_proved then pg_try_advisory_xact_lock(
        hashtextextended(concat_ws(e'\\x1f', 'call', %(call_tenant)s::text, who.principal_id, %(call_key)s::text), 0)
    ) end as mine
) held
left join idempotent_calls called
on called.tenant_id = %(call_tenant)s and called.principal_id = who.principal_id and called.idempotency_key = %(call_key)s
"""


def proved(principal_id: str) -> Question:
    """Who calls, for `recalling`, where that is known already."""
    return Question("select %(principal)s::text as principal_id, true as is_proved", {"principal": principal_id})


def recalling(who: Question, *, tenant_id: str, key: str) -> Question:
    """A question for a principal, whose row has `principal_id` and `is_proved`, that looks for the answer given to that principal as well.

    `recalled` judges what it finds.
    """
    return Question(_recalling(who.statement), {**who.values, "call_tenant": tenant_id, "call_key": key})


@lru_cache(maxsize=8)
def _recalling(who: LiteralString) -> LiteralString:
    return _RECALL.replace("{who}", who)


def recall(conn: Connection, *, tenant_id: str, principal_id: str, key: str, fingerprint: str) -> Answer | None:
    """The answer given before, or None, in which case this transaction holds the key until its end.

    Raises IdempotencyConflict and CallInProgress.
    """
    asked = recalling(proved(principal_id), tenant_id=tenant_id, key=key)
    return recalled(answer_to(conn, asked), key=key, fingerprint=fingerprint)


def recalled(row: Mapping[str, Any] | None, *, key: str, fingerprint: str) -> Answer | None:
    """`recall`, with the row that was found in this transaction."""
    if row is None or not row["mine"]:
        raise CallInProgress(f"the call with {HEADER} {key!r} is being worked on: ask again in a moment, with the same key")
    if row["status"] is None:
        return None
    if row["fingerprint"] != fingerprint:
        raise IdempotencyConflict(f"{HEADER} {key!r} was used for another request: a new request takes a new key")
    return Answer(status=row["status"], body=row["body"]["body"], headers=row["body"]["headers"], replayed=True)


_REMEMBER = """
insert into idempotent_calls (tenant_id, principal_id, idempotency_key, fingerprint, status, body)
values (%(tenant)s, %(principal)s, %(key)s, %(fingerprint)s, %(status)s, %(body)s::jsonb)
"""


def remember(conn: Connection, answer: Answer, *, tenant_id: str, principal_id: str, key: str, fingerprint: str) -> None:
    """Keep an answer with the end of the transaction of the work it answers for; inside `one_answer_each`."""
    body = to_json({"headers": dict(answer.headers), "body": dict(answer.body)}).decode()
    whose = {"tenant": tenant_id, "principal": principal_id, "key": key, "fingerprint": fingerprint}
    at_last(conn, _REMEMBER, {**whose, "status": answer.status, "body": body})


@contextmanager
def one_answer_each(key: str) -> Iterator[None]:
    """Around a transaction in which an answer is remembered: if the same call ended a moment ago, this one leaves nothing.

    Raises CallInProgress then.
    """
    try:
        yield
    except UniqueViolation as error:
        if error.diag.constraint_name != "idempotent_calls_pkey":
            raise
        raise CallInProgress(f"the call with {HEADER} {key!r} has just ended: ask again, with the same key, for its answer") from None
