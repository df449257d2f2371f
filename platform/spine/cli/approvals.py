"""`spine approvals list | show | approve | edit | reject`: what waits for people, decided by the person whose key is set."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from shared.events import Verdict
from spine import approvals
from spine.approvals import Approval, ApprovalState, Resolution
from spine.cli.acting import Acting, Cursor, Json, Limit, acting, print_json, print_page, print_table, read_json, say, say_more, traced
from spine.errors import ApprovalRefused, NotAllowed
from spine.identity import Role
from spine.ids import new_id
from spine.intake import take_decision
from spine.intake.decisions import record_refusal
from spine.policy import PolicyTable
from spine.registry import Registry
from spine.views import ApprovalDetail, ApprovalView, DecisionView, WaitingFor, approval_detail

app = typer.Typer(help="Decide what waits for people.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False)

ApprovalId = Annotated[str, typer.Argument(metavar="APPROVAL_ID")]
Digest = Annotated[str | None, typer.Option(help="What you looked at: refused if something else is asked by now.")]


@app.command("list")
def list_(
    state: Annotated[ApprovalState, typer.Option(help="What became of it.")] = ApprovalState.PENDING,
    limit: Limit = 100,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """Show what waits, the most urgent first; or what was decided, the newest first."""
    with acting() as person:
        with person.transaction() as conn:
            page = approvals.listing(conn, tenant_id=person.principal.tenant_id, state=state, cursor=cursor, limit=limit)
        if as_json:
            print_page((ApprovalView.of(one) for one in page.items), page.next)
            return
        rows = ((a.approval_id, a.intent.action, _people(a), a.requested_by, person.local(a.expires_at), _why(a)) for a in page.items)
        nothing = "nothing waits for anybody" if state is ApprovalState.PENDING else f"none is {state.value}"
        print_table(("approval", "action", "needs", "requested by", "expires", "why"), rows, empty=nothing)
        say_more(page.next)


@app.command()
def show(
    approval_id: ApprovalId,
    payload: Annotated[bool, typer.Option("--payload", help="Print the payload alone, as JSON, to edit it.")] = False,
    as_json: Json = False,
) -> None:
    """Show one request: what would happen, on what evidence, why people are asked, and what happened so far."""
    with acting() as person:
        with person.transaction() as conn:
            detail = approval_detail(conn, person.principal, approval_id, now=person.clock.now())
        if payload:
            person.principal.require(Role.OPERATOR)
            print_json(detail.payload or {})
        elif as_json:
            print_json(detail)
        else:
            _print_detail(person, detail)


@app.command()
def approve(
    approval_id: ApprovalId,
    reason: Annotated[str | None, typer.Option(help="For the record.")] = None,
    digest: Digest = None,
    as_json: Json = False,
) -> None:
    """Say yes to exactly what was proposed."""
    _decide(approval_id, Verdict.APPROVE, reason, None, digest, as_json=as_json)


@app.command()
def edit(
    approval_id: ApprovalId,
    payload: Annotated[str, typer.Option(help="File with the whole payload as it should be, as JSON; - for standard input.")],
    reason: Annotated[str | None, typer.Option(help="For the record.")] = None,
    digest: Digest = None,
    as_json: Json = False,
) -> None:
    """Propose another payload instead, which is judged afresh. `spine approvals show ID --payload` prints the present one."""
    _decide(approval_id, Verdict.EDIT, reason, read_json(payload, "the edited payload"), digest, as_json=as_json)


@app.command()
def reject(
    approval_id: ApprovalId,
    reason: Annotated[str, typer.Option(help="Why: for whoever proposed it, and for the record.")],
    digest: Digest = None,
    as_json: Json = False,
) -> None:
    """Say no: the intent is closed, nothing of it can run."""
    _decide(approval_id, Verdict.REJECT, reason, None, digest, as_json=as_json)


def _decide(
    approval_id: str, verdict: Verdict, reason: str | None, payload: Mapping[str, Any] | None, digest: str | None, *, as_json: bool
) -> None:
    decision_id = str(new_id())
    with acting(Role.APPROVER) as person, traced(f"approvals {verdict.value}"):
        try:
            with person.transaction() as conn:
                resolution = take_decision(
                    conn,
                    principal=person.principal,
                    approval_id=approval_id,
                    decision_id=decision_id,
                    verdict=verdict,
                    reason=reason,
                    edited_payload=payload,
                    digest=digest,
                    policy=PolicyTable.load(zone=person.settings.timezone),
                    registry=Registry.load(),
                    clock=person.clock,
                )
        except (NotAllowed, ApprovalRefused) as error:
            record_refusal(person.database, person.principal, approval_id, verdict, error, clock=person.clock)
            raise
    if as_json:
        print_json(DecisionView.of(resolution, decision_id))
    else:
        say(*_said(resolution))


def _said(resolution: Resolution) -> list[str]:
    lines = [f"approval {resolution.approval_id} is {resolution.state}; intent {resolution.intent_id} is {resolution.intent_state}"]
    if resolution.approvals_remaining:
        lines.append(f"{resolution.approvals_remaining} more must approve")
    if (successor := resolution.successor) is not None:
        lines.append(f"revision {successor.revision} is intent {successor.intent_id}, {successor.state}")
        if successor.approvers_needed and successor.approval_id:
            lines.append(f"it waits for others: spine approvals show {successor.approval_id}")
    return lines


def _print_detail(person: Acting, detail: ApprovalDetail) -> None:
    say(
        f"{detail.action}, revision {detail.revision}, of {detail.automation}: {detail.state}",
        f"  classes      {detail.approval_class} {detail.reversibility_class} {detail.sensitivity_class}",
        f"  requested by {detail.requested_by} at {person.local(detail.requested_at)}, runs out at {person.local(detail.expires_at)}",
        *([f"  amount       {detail.amount['amount']} {detail.amount['currency']}"] if detail.amount else []),
        *(f"  why          {reason.text}" for reason in detail.why),
    )
    if waiting := detail.waiting_for.approvals:
        roles, others = ", ".join(detail.waiting_for.roles), ", ".join(detail.waiting_for.not_from)
        say(f"  must sign    {waiting} more ({roles}), not {others}")
        say(*_who_can(detail.waiting_for))
    say(f"  digest       {detail.digest}", f"  intent       {detail.intent_id}", f"  journey      spine journey {detail.correlation_id}")
    for name, part in (("payload", detail.payload), ("evidence", detail.evidence)):
        if part is not None:
            say("", f"{name}:", json.dumps(part, indent=2, ensure_ascii=False))
    rows = ((person.local(row.occurred_at), row.actor, row.action, row.detail.get("verdict") or "") for row in detail.history)
    say("")
    print_table(("when", "who", "what", ""), rows, empty="no history")


def _who_can(waiting: WaitingFor) -> list[str]:
    lines = []
    if waiting.must_include:
        lines.append(f"  among them   {', '.join(waiting.must_include)}")
    for one in waiting.people or ():
        functions = ", ".join(one.functions) or "approver"
        lines.append(f"  could sign   {one.person} ({functions}{', for ' + ', '.join(one.on_behalf_of) if one.on_behalf_of else ''})")
    if waiting.can_be_given is False:
        lack = f"nobody can sign as {', '.join(waiting.nobody_for)}" if waiting.nobody_for else "there are too few people who could sign"
        lines.append(f"  cannot be given now: {lack}; `spine approvers add PERSON FUNCTION` names somebody")
    return lines


def _people(approval: Approval) -> str:
    return f"{approval.approvals_remaining} of {approval.approvers_needed}"


def _why(approval: Approval) -> str:
    return "; ".join(reason.text for reason in approval.why)
