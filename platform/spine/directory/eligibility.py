"""Who may sign what: the directory, asked about one request."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from shared.events import Verdict
from spine.db import Connection
from spine.directory.records import Approver, Capacity, Signer, Signers, covers
from spine.directory.store import active
from spine.policy.functions import APPROVER

if TYPE_CHECKING:  # approvals ask the directory, so the directory may not need them to be imported
    from spine.approvals.records import Approval
    from spine.intents.records import Intent

_MAY_DECIDE = ("approver", "admin")  # roles of keys


def signs_as(conn: Connection, approval: "Approval", person: str, role: str, *, now: datetime) -> tuple[Capacity, ...] | None:
    """As what this person's word would count; () for an approver's key where no function is asked for. None: it would not count."""
    rows = active(conn, approval.intent.tenant_id, {person})
    capacities = _useful(approval, capacities_of(rows, person, now), _spent(conn, approval))
    return capacities if capacities or (APPROVER in approval.roles and role in _MAY_DECIDE) else None


def who_can_sign(conn: Connection, approval: "Approval", *, now: datetime) -> Signers:
    """Who could still sign, the lowest level first.

    Where any approver's key will do, the people are those who have one and those in the directory; whoever would come with a token of
    the identity provider and is not in the directory is not known here.
    """
    rows = active(conn, approval.intent.tenant_id)
    spent = _spent(conn, approval)
    people = dict.fromkeys([row.person for row in rows] + [row.delegate for row in rows if row.delegate])
    found = {person: _useful(approval, capacities_of(rows, person, now), spent) for person in people if person not in spent}
    if APPROVER in approval.roles:
        found = {**dict.fromkeys((p for p in _with_keys(conn, approval.intent.tenant_id) if p not in spent), ()), **found}
    else:
        found = {person: capacities for person, capacities in found.items() if capacities}
    missing = approval.functions_missing
    nobody_for = tuple(name for name in missing if not any(_any_covers(held, name) for held in found.values()))
    is_incomplete = bool(missing) or approval.authority_missing
    left = approval.approvers_needed - sum(1 for decided in approval.decisions if decided.verdict is Verdict.APPROVE)
    if (
        not nobody_for
        and APPROVER not in approval.roles
        and (not found or (approval.authority_missing and lacks_authority(approval.roles, found.values())))
    ):
        nobody_for = approval.roles
    signers = [Signer(person=person, capacities=held) for person, held in found.items()]
    signers.sort(key=lambda one: (min((held.level for held in one.capacities), default=0), one.person))
    enough = not nobody_for and len(found) >= max(left, 1 if is_incomplete else 0)
    return Signers(people=tuple(signers), nobody_for=nobody_for, enough=enough)


def someone_can_decide(conn: Connection, approval: "Approval", *, now: datetime) -> bool:
    """Whether there are people enough to give this approval: distinct, none its requester, each function it needs among them."""
    return who_can_sign(conn, approval, now=now).enough


def capacities_of(rows: Iterable[Approver], person: str, now: datetime) -> tuple[Capacity, ...]:
    """As what a person may sign now: own functions, and those of absent people who named him.

    Whoever is marked absent signs nothing, for himself or for others: one seat, one signer. A delegate's delegate is nobody.
    """
    rows = list(rows)
    if any(row.person == person and row.is_absent(now) for row in rows):
        return ()
    own = [Capacity(row.function, row.level) for row in rows if row.person == person]
    lent = [Capacity(row.function, row.level, row.person) for row in rows if row.delegate == person and row.is_absent(now)]
    return (*own, *lent)


def requesters_of(conn: Connection, intent: "Intent") -> set[str]:
    """Whoever asked for this revision or for one that it came from."""
    found = conn.execute(
        "select distinct requested_by from intents where tenant_id = %s and automation = %s and key = %s and revision <= %s",
        (intent.tenant_id, intent.automation, intent.key, intent.revision),
    )
    return {str(row["requested_by"]) for row in found}


def functions_missing(must_include: Sequence[str], signed: Iterable[Sequence[Capacity]]) -> tuple[str, ...]:
    """The functions that none of those who approved has signed for. One person with two functions fills both."""
    held = [capacity for one in signed for capacity in one]
    return tuple(name for name in must_include if not _any_covers(held, name))


def lacks_authority(roles: Sequence[str], signed: Iterable[Sequence[Capacity]]) -> bool:
    """Whether none of those who approved signed for one of the rule's own functions: whoever must be among them is not enough alone."""
    held = [capacity for one in signed for capacity in one]
    return bool(roles) and APPROVER not in roles and not any(_any_covers(held, name) for name in roles)


def _useful(approval: "Approval", capacities: Iterable[Capacity], spent: Collection[str]) -> tuple[Capacity, ...]:
    """Of these, what the request asks for; not in the name of somebody who asked for it or has decided it already."""
    wanted = [*(role for role in approval.roles if role != APPROVER), *approval.must_include]
    return tuple(one for one in capacities if one.on_behalf_of not in spent and any(covers(one.function, name) for name in wanted))


def _spent(conn: Connection, approval: "Approval") -> set[str]:
    return requesters_of(conn, approval.intent) | set(_bound(approval))


def _bound(approval: "Approval") -> Iterable[str]:
    """Whose word was given: those who decided, and those in whose name they did."""
    for decided in approval.decisions:
        yield decided.decided_by
        yield from (held.on_behalf_of for held in decided.capacities if held.on_behalf_of)


def _any_covers(held: Iterable[Capacity], needed: str) -> bool:
    return any(covers(one.function, needed) for one in held)


def _with_keys(conn: Connection, tenant_id: str) -> list[str]:
    rows = conn.execute(
        "select distinct principal_id from api_keys where tenant_id = %s and role = any(%s) and actor_type = 'human' "
        "and revoked_at is null and (expires_at is null or expires_at > now()) order by principal_id",
        (tenant_id, list(_MAY_DECIDE)),
    )
    return [str(row["principal_id"]) for row in rows]


def is_known(conn: Connection, tenant_id: str, person: str) -> bool:
    """Whether this is somebody who may decide here at all: in the directory, or with an approver's key that holds."""
    return bool(active(conn, tenant_id, {person})) or person in _with_keys(conn, tenant_id)
