"""What is plugged in, how it has been doing, and the switches that stop it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import Response

from spine.audit import Actor
from spine.console.forms import Posted, Posting
from spine.console.listing import choice, show
from spine.console.session import PageWork, Visiting, redirect, went_to
from spine.console.words import say
from spine.errors import InvalidInput
from spine.gateway.idempotency import Answer
from spine.identity import Role
from spine.inventory import AutomationView, Finding, check, inventory
from spine.policy import ActionRule, PolicyTable, canary
from spine.policy import switches as kill_switches
from spine.policy.decide import Canary
from spine.policy.switches import Scope, Switch
from spine.results import Results, results

router = APIRouter()

LATELY = timedelta(days=7)
_WHY_NEEDED = say("Say why, for whoever finds it stopped.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One automation as the page shows it. `stopped_by` are the switches that stop all or a part of it now."""

    view: AutomationView
    rules: Sequence[ActionRule]
    results: Results
    stopped_by: Sequence[Switch]
    findings: Sequence[Finding]
    canary: Canary = Canary.NOT_ENFORCED

    @property
    def is_stopped(self) -> bool:
        """As a whole: some of its effects may be stopped by a switch of their own."""
        return any(switch.scope in (Scope.TENANT, Scope.AUTOMATION) for switch in self.stopped_by)


def cards(
    views: Sequence[AutomationView],
    policy: PolicyTable,
    doing: Mapping[str, Results],
    engaged: Sequence[Switch],
    findings: Sequence[Finding],
    canaries: Mapping[str, Canary],
    tenant_id: str,
) -> list[Card]:
    made = []
    for view in views:
        rules = [policy.rule(action) for action in view.effects]
        stops = {(Scope.TENANT, tenant_id), (Scope.AUTOMATION, view.name)}
        stops |= {(Scope.ACTION, rule.action) for rule in rules} | {(Scope.PLUGIN, rule.plugin or "") for rule in rules}
        made.append(
            Card(
                view=view,
                rules=rules,
                results=doing.get(view.name, Results()),
                stopped_by=[switch for switch in engaged if (switch.scope, switch.target) in stops],
                findings=[finding for finding in findings if finding.automation == view.name],
                canary=canaries.get(view.name, Canary.NOT_ENFORCED),
            )
        )
    return made


@router.get("/automations")
def get_automations(request: Request, visit: Visiting) -> Response:
    return _shown(request, visit)


@router.post("/automations/stop")
def post_stop(request: Request, visit: Visiting, form: Posting) -> Response:
    """Engage a kill switch: nothing that it covers begins any more. Takes an operator, and a reason."""
    if not form.first("reason").strip():
        return _shown(request, visit, form=form, wrong=_WHY_NEEDED, status=422)

    def stop(work: PageWork) -> Answer:
        scope, target = _asked(work, form)
        services = work.services
        kill_switches.check_target(
            scope, target, tenant_id=work.tenant_id, automations=services.registry.automations, policy=services.policy
        )
        kill_switches.engage(
            work.conn,
            tenant_id=work.tenant_id,
            scope=scope,
            target=target,
            reason=form.first("reason"),
            actor=Actor(work.principal.actor_type, work.principal.id),
            now=services.clock.now(),
            correlation_id=work.correlation_id,
        )
        return went_to("/console/automations?done=stopped")

    return redirect(visit.once(Role.OPERATOR, form, stop))


@router.post("/automations/release")
def post_release(request: Request, visit: Visiting, form: Posting) -> Response:
    """Let it go on. Takes an admin, and a reason."""
    if not form.first("reason").strip():
        return _shown(request, visit, form=form, wrong=_WHY_NEEDED, status=422)

    def release(work: PageWork) -> Answer:
        scope, target = _asked(work, form)
        kill_switches.release(
            work.conn,
            tenant_id=work.tenant_id,
            scope=scope,
            target=target,
            reason=form.first("reason"),
            actor=Actor(work.principal.actor_type, work.principal.id),
            now=work.services.clock.now(),
            correlation_id=work.correlation_id,
        )
        return went_to("/console/automations?done=released")

    return redirect(visit.once(Role.ADMIN, form, release))


def _asked(work: PageWork, form: Posted) -> tuple[Scope, str]:
    """`scope target` of the choice, or the two apart; the tenant's own switch names no target."""
    scope_name, _, target = form.first("what").partition(" ")
    scope = choice(Scope, scope_name, "scope")
    if scope is None:
        raise InvalidInput("nothing was chosen to stop: choose one from the list")
    return scope, work.tenant_id if scope is Scope.TENANT else target


def _shown(request: Request, visit: Visiting, *, form: Posted | None = None, wrong: str = "", status: int = 200) -> Response:
    services = visit.services
    views, findings = list(inventory(services.registry)), list(check(services.registry, services.policy))
    with visit.reading() as work:
        since = services.clock.now() - LATELY
        doing = results(work.conn, tenant_id=work.tenant_id, automations=[view.name for view in views], since=since)
        engaged = kill_switches.engaged(work.conn, tenant_id=work.tenant_id)
        canaries = {view.name: canary.state(work.conn, work.tenant_id, view.name, services.clock.now()) for view in views}
    done = request.query_params.get("done", "") if request.method == "GET" else ""
    return show(
        request,
        work.visitor,
        "automations.html",
        status=status,
        cards=cards(views, services.policy, doing, engaged, findings, canaries, work.tenant_id),
        engaged=engaged,
        can_stop=_can_stop(views, services.policy, engaged, work.tenant_id),
        typed={name: form.first(name) if form else "" for name in ("what", "reason")},
        wrong=wrong,
        done=done,
        duration=lambda seconds: timedelta(seconds=seconds),
    )


def _can_stop(
    views: Sequence[AutomationView], policy: PolicyTable, engaged: Sequence[Switch], tenant_id: str
) -> Mapping[Scope, Sequence[str]]:
    """By scope, what is plugged in and not stopped yet."""
    actions = sorted({action for view in views for action in view.effects})
    stopped = {(switch.scope, switch.target) for switch in engaged}
    there = {
        Scope.AUTOMATION: [view.name for view in views],
        Scope.ACTION: [action for action in actions if action in policy.actions],
        Scope.PLUGIN: sorted({plugin for action in actions if (plugin := policy.rule(action).plugin)}),
        Scope.TENANT: [tenant_id],
    }
    return {scope: [name for name in names if (scope, name) not in stopped] for scope, names in there.items()}
