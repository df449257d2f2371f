"""Approval tokens: a decision of one named person on one request, carried by a link instead of a key.

A token is a JWT (HS256, by this installation's own key) that names tenant, approval, intent, action, payload digest, policy version,
approver and the verdicts that it is good for. It holds once, for minutes, and never longer than the request waits. What it opens is
judged again when it is used: the person's functions, the digest, the policy. It is a credential: it travels in bodies, not in
addresses, and is kept nowhere; the row behind it knows only its id.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from shared.events import ActorType, Verdict
from spine import audit
from spine.approvals.queries import fetch
from spine.approvals.records import Approval, ApprovalState
from spine.approvals.resolve import entry
from spine.audit import Actor
from spine.clock import Clock
from spine.db import Connection
from spine.directory import is_known, requesters_of, signs_as
from spine.errors import ApprovalRefused, InvalidInput, NotAllowed, NotAuthenticated, NotFound
from spine.identity import Principal, Role
from spine.ids import new_id
from spine.settings import Settings
from spine.signing import derived_key

LIFETIME = timedelta(minutes=15)
LONGEST = timedelta(hours=1)
VERDICTS = frozenset({Verdict.APPROVE, Verdict.REJECT})  # an edit takes a form, and a person who is logged in to it
_ISSUER, _AUDIENCE, _ALGORITHM = "spine", "spine/approval", "HS256"
_CLAIMS = ("jti", "tenant", "approval", "intent", "action", "digest", "policy", "sub", "verdicts", "exp", "iss", "aud")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token says: all of it, so that the same grant is always the same token. `expires_at` is real time."""

    token_id: str
    tenant_id: str
    approval_id: str
    intent_id: str
    action: str
    digest: str
    policy_version: str
    approver: str
    verdicts: tuple[str, ...]
    expires_at: datetime


def mint(
    conn: Connection,
    *,
    approval_id: str,
    approver: str,
    minter: Principal,
    clock: Clock,
    verdicts: Collection[Verdict] = VERDICTS,
    lifetime: timedelta = LIFETIME,
) -> Grant:
    """Let one person decide one request by a token. People mint for themselves; for somebody else it takes an admin's key.

    An admin who asked for this, or has decided it, mints for nobody: it would be his own second signature. For the same reason an admin
    mints for one other person a request; a program that mails links mints for all. Raises NotFound (also for a person who is neither in
    the directory nor has an approver's key), NotAllowed, ApprovalRefused and InvalidInput.
    """
    tenant_id = minter.tenant_id
    if not verdicts or not set(verdicts) <= VERDICTS:
        raise InvalidInput("'verdicts': a token is good for approve, reject or both; an edit is made by whoever is logged in")
    if not timedelta(0) < lifetime <= LONGEST:
        raise InvalidInput(f"a token lives longer than nothing and at most {LONGEST}, not {lifetime}")
    approval = fetch(conn, tenant_id, approval_id, lock=True)
    _refuse_minting(conn, approval, approver, minter, clock)
    left = clock.real(approval.expires_at - clock.now())
    # To the whole second, as a JWT says it: the same grant has to be the same token.
    expires_at = (datetime.now(UTC) + min(lifetime, left)).replace(microsecond=0)
    grant = Grant(
        token_id=str(new_id()),
        tenant_id=tenant_id,
        approval_id=approval.approval_id,
        intent_id=approval.intent.intent_id,
        action=approval.intent.action,
        digest=approval.digest,
        policy_version=approval.policy_version,
        approver=approver,
        verdicts=tuple(sorted(verdict.value for verdict in verdicts)),
        expires_at=expires_at,
    )
    conn.execute(
        "insert into approval_tokens (tenant_id, token_id, approval_id, approver, minted_by, expires_at) values (%s, %s, %s, %s, %s, %s)",
        (tenant_id, UUID(grant.token_id), UUID(grant.approval_id), approver, minter.id, expires_at),
    )
    said = {"token_id": grant.token_id, "approver": approver, "verdicts": grant.verdicts}
    minted = entry(approval, Actor(minter.actor_type, minter.id), "approval.token_minted", said)
    audit.record_all(conn, [minted], tenant_id=tenant_id, now=clock.now())
    return grant


def token_of(settings: Settings, grant: Grant) -> str:
    """The token itself. Raises Misconfigured without SPINE_TOKEN_KEY."""
    said = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "jti": grant.token_id,
        "exp": int(grant.expires_at.timestamp()),
        "tenant": grant.tenant_id,
        "approval": grant.approval_id,
        "intent": grant.intent_id,
        "action": grant.action,
        "digest": grant.digest,
        "policy": grant.policy_version,
        "sub": grant.approver,
        "verdicts": list(grant.verdicts),
    }
    return jwt.encode(said, _key(settings), algorithm=_ALGORITHM)


def read(settings: Settings, token: str) -> Grant:
    """What a token says, if this installation signed it and its time is not up; not whether it was used. Raises NotAuthenticated."""
    if settings.token_key is None:
        raise NotAuthenticated("this installation has no SPINE_TOKEN_KEY, so no approval token of it exists: decide with a key")
    try:
        said = jwt.decode(
            token, _key(settings), algorithms=[_ALGORITHM], audience=_AUDIENCE, issuer=_ISSUER, options={"require": list(_CLAIMS)}
        )
    except ExpiredSignatureError as error:
        raise NotAuthenticated("this approval token has run out: ask for a new one, or decide with a key") from error
    except PyJWTError as error:
        raise NotAuthenticated("this is no approval token of this installation: ask for one, or decide with a key") from error
    return _grant_in(said)


def use(conn: Connection, grant: Grant, verdict: Verdict) -> tuple[Principal, str | None]:
    """Spend a token that was read: the person whose word it is, and who had it made, if that was somebody else.

    In the transaction that decides, so a decision that fails spends nothing. Raises NotAuthenticated for a token that was never minted
    here, or was voided with its person's key; ApprovalRefused for one that was used, or whose request has changed; NotAllowed for a
    verdict that it is not good for.
    """
    row = conn.execute(
        "select *, expires_at > now() as live from approval_tokens where tenant_id = %s and token_id = %s for update",
        (grant.tenant_id, UUID(grant.token_id)),
    ).fetchone()
    if row is None or row["voided_at"] is not None or not row["live"]:
        raise NotAuthenticated("this approval token holds no longer: ask for a new one, or decide with a key")
    if row["used_at"] is not None:
        raise ApprovalRefused(f"this approval token was used already, to {row['used_for']}: each is good for one decision")
    if verdict.value not in grant.verdicts:
        raise NotAllowed(f"this approval token is not good for {verdict.value!r}, only for {', '.join(grant.verdicts)}")
    approval = fetch(conn, grant.tenant_id, grant.approval_id, lock=True)
    asked = (approval.intent.intent_id, approval.intent.action, approval.digest, approval.policy_version)
    if (grant.intent_id, grant.action, grant.digest, grant.policy_version) != asked:
        raise ApprovalRefused(f"this approval token was for something else than approval {grant.approval_id!r} asks now: look at it again")
    conn.execute(
        "update approval_tokens set used_at = now(), used_for = %s where tenant_id = %s and token_id = %s",
        (verdict.value, grant.tenant_id, UUID(grant.token_id)),
    )
    principal = Principal(tenant_id=grant.tenant_id, id=grant.approver, role=Role.APPROVER)
    return principal, None if row["minted_by"] == grant.approver else str(row["minted_by"])


def _refuse_minting(conn: Connection, approval: Approval, approver: str, minter: Principal, clock: Clock) -> None:
    which, now = f"approval {approval.approval_id!r}", clock.now()
    if approval.state is not ApprovalState.PENDING or now >= approval.expires_at:
        raise ApprovalRefused(f"{which} waits no longer: nothing is left to decide")
    involved = requesters_of(conn, approval.intent) | {decided.decided_by for decided in approval.decisions}
    if approver == minter.id:
        if minter.actor_type is not ActorType.HUMAN:
            raise NotAllowed(f"{minter.id!r} is a {minter.actor_type.value}: people decide approvals")
    else:
        minter.require(Role.ADMIN)
        if minter.id in involved:
            raise ApprovalRefused(f"{minter.id!r} asked for {which}, or has decided it, and mints no token for others")
        if minter.actor_type is ActorType.HUMAN and (other := _minted_for_another(conn, approval, approver, minter)):
            raise ApprovalRefused(
                f"{minter.id!r} has let a token of {which} be made for {other!r}: one person holds one signature of others"
            )
        if not is_known(conn, minter.tenant_id, approver):
            raise NotFound(f"nobody called {approver!r} may decide here: `spine approvers list` shows the directory")
    if approver in involved:
        raise ApprovalRefused(f"{approver!r} asked for {which}, or has decided it already")
    if signs_as(conn, approval, approver, Role.APPROVER.value, now=now) is None:
        raise NotAllowed(
            f"{approver!r} has none of the functions that {which} takes: {', '.join((*approval.roles, *approval.must_include))}"
        )


def _minted_for_another(conn: Connection, approval: Approval, approver: str, minter: Principal) -> str | None:
    row = conn.execute(
        "select approver from approval_tokens where tenant_id = %s and approval_id = %s and minted_by = %s and approver <> all(%s) limit 1",
        (minter.tenant_id, UUID(approval.approval_id), minter.id, [minter.id, approver]),
    ).fetchone()
    return None if row is None else str(row["approver"])


def _grant_in(said: Mapping[str, Any]) -> Grant:
    return Grant(
        token_id=said["jti"],
        tenant_id=said["tenant"],
        approval_id=said["approval"],
        intent_id=said["intent"],
        action=said["action"],
        digest=said["digest"],
        policy_version=said["policy"],
        approver=said["sub"],
        verdicts=tuple(said["verdicts"]),
        expires_at=datetime.fromtimestamp(said["exp"], UTC),
    )


def _key(settings: Settings) -> bytes:
    return derived_key(settings, "approval-token")
