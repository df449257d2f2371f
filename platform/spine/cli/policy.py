"""`spine policy show | explain | check | diff | backtest`: the table of actions, and what it says."""

import json
import sys
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from shared.events import Money
from spine.audit import Actor
from spine.cli.acting import Acting, Json, acting, print_json, print_table, read_json, say
from spine.errors import InvalidInput
from spine.intents import Proposal
from spine.intents.asking import what_if, why
from spine.intents.bundle import papers_in
from spine.policy import ActionRule, PolicyTable
from spine.policy.backtest import backtest as run_backtest
from spine.policy.backtest import diff as differences
from spine.policy.table import TABLE, findings_of
from spine.policy_views import BacktestView, ExplanationView
from spine.registry import Registry
from spine.settings import Settings

app = typer.Typer(
    help="What each action is, and who must agree to it.", rich_markup_mode="rich", no_args_is_help=True, add_completion=False
)

Candidate = Annotated[Path, typer.Argument(metavar="CANDIDATE.yaml", help="An edited copy of the table.")]


@app.command()
def show(
    action: Annotated[str | None, typer.Argument(help="One action, with everything that its line says.")] = None, as_json: Json = False
) -> None:
    """Show the table, or one line of it."""
    table = _table()
    if action is None:
        if as_json:
            print_json({"version": table.version, "items": [rule.model_dump(mode="json") for rule in table.actions.values()]})
            return
        rows = ((name, _classes(rule), rule.approvers, " | ".join(_who(rule)), rule.requires.value) for name, rule in table.actions.items())
        print_table(("action", "classes", "people", "of", "requires"), rows, empty="the table is empty")
        say(f"policy {table.version}")
        return
    rule = table.rule(action)
    if as_json:
        print_json(rule)
        return
    _say_if_unknown(rule)
    given = rule.model_dump(mode="json", exclude_defaults=True, exclude={"action"})
    say(f"{rule.action}: {_classes(rule)}", *(f"  {name:<22} {_shown(value)}" for name, value in given.items()), f"policy {table.version}")


@app.command()
def explain(
    action: Annotated[str | None, typer.Argument(help="What would be proposed. Or --intent, for what was.")] = None,
    intent: Annotated[str | None, typer.Option(help="A recorded intent: what the gate would say to it now.")] = None,
    automation: Annotated[str | None, typer.Option(help="Whose effect it would be.")] = None,
    payload: Annotated[str | None, typer.Option(metavar="FILE", help="Its payload, a JSON object; `-` for standard input.")] = None,
    bundle: Annotated[str | None, typer.Option(metavar="FILE", help="JSON with memo, evidence_pack and risk_register.")] = None,
    amount: Annotated[str | None, typer.Option(help='The money in it, such as "120000.00 SAR".')] = None,
    correlation: Annotated[str | None, typer.Option(help="The business flow it belongs to.")] = "by-hand",
    confidence: Annotated[str | None, typer.Option(help="0 to 1.")] = None,
    as_json: Json = False,
) -> None:
    """Say what the gate would decide, which rule decides it, and what would change the verdict. Nothing is written."""
    if (action is None) == (intent is None):
        raise InvalidInput("name an action, or --intent with the id of a recorded one")
    with acting() as person:
        table, now = PolicyTable.load(zone=person.settings.timezone), person.clock.now()
        with person.transaction() as conn:
            if intent is not None:
                found = why(conn, person.principal.tenant_id, intent, policy=table, now=now)
                about = intent
            else:
                about = action or ""
                rule = table.rule(about)
                if not as_json:
                    _say_if_unknown(rule)
                papers = _papers({} if bundle is None else read_json(bundle, "the bundle"))
                proposal = Proposal(
                    tenant_id=person.principal.tenant_id,
                    automation=automation or "by-hand",
                    key="explain",
                    action=about,
                    workflow_id=f"{person.principal.tenant_id}/explain",
                    actor=Actor(person.principal.actor_type, person.principal.id),
                    payload=_payload({} if payload is None else read_json(payload, "the payload"), rule, amount),
                    correlation_id=correlation,
                    confidence=_decimal(confidence),
                    **papers,
                )
                declared = None if automation is None else Registry.load().automation(automation).effects
                found = what_if(conn, proposal, policy=table, now=now, effects_allowed=declared)
        view = ExplanationView.of(found, action=about, policy_version=table.version)
        _print_explanation(view, person, as_json)


@app.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy table.")] = TABLE) -> None:
    """Say everything that is wrong with a table, by line. Exit code 1 when something is."""
    found = findings_of(file)
    if not found:
        table = PolicyTable.load(file)
        say(f"{file.name}: {len(table.actions)} actions, nothing to say against it", f"policy {table.version}")
        return
    say(*found, f"{len(found)} findings")
    raise typer.Exit(1)


@app.command()
def diff(candidate: Candidate, as_json: Json = False) -> None:
    """Show what an edited copy changes, line by line."""
    zone = Settings.load().timezone
    found = list(differences(PolicyTable.load(zone=zone), PolicyTable.load(candidate, zone=zone)))
    if as_json:
        rows = [{"action": one.action, "field": one.field, "before": one.before, "after": one.after} for one in found]
        print_json({"items": rows})
        return
    table = ((one.action or "(all)", one.field or "line", one.before, one.after) for one in found)
    print_table(("action", "field", "before", "after"), table, empty="the same policy")


@app.command()
def backtest(
    candidate: Candidate,
    limit: Annotated[int, typer.Option(min=0, max=1000, help="How many of the intents to show; all are counted.")] = 20,
    as_json: Json = False,
) -> None:
    """Judge the recorded intents by an edited copy too, and show whose verdict changes. Nothing is written."""
    with acting() as person:
        zone = person.settings.timezone
        current, wanted = PolicyTable.load(zone=zone), PolicyTable.load(candidate, zone=zone)
        with person.transaction() as conn:
            found = run_backtest(
                conn, tenant_id=person.principal.tenant_id, current=current, candidate=wanted, shown=limit, progress=_progress
            )
        view = BacktestView.of(found, current=current.version, candidate=wanted.version)
        if as_json:
            print_json(view)
            return
        say(f"{view.judged} intents judged by both tables, {view.changed} otherwise")
        if view.changed:
            print_table(("how many", "action", "from", "to"), ((m.count, m.action, m.before, m.after) for m in view.moves), empty="")
            shown = ((one.intent_id, one.action, one.before, one.after) for one in view.moved)
            print_table(("intent", "action", "from", "to"), shown, empty="")


def _table() -> PolicyTable:
    return PolicyTable.load(zone=Settings.load().timezone)


def _classes(rule: ActionRule) -> str:
    return " ".join(
        (rule.action_class.value, rule.approval.value, rule.reversibility.value, rule.sensitivity.value, rule.side_effect.value)
    )


def _who(rule: ActionRule) -> tuple[str, ...]:
    among = (f"with {' and '.join(rule.must_include)}",) if rule.must_include else ()
    return (*rule.approver_roles, *among) if rule.approvers else ()


def _shown(value: object) -> str:
    return ", ".join(map(_shown, value)) if isinstance(value, list) else json.dumps(value) if isinstance(value, dict) else str(value)


def _say_if_unknown(rule: ActionRule) -> None:
    """A name that is mistyped is judged too, and its verdict reads like that of an action there is."""
    if rule.unknown_to_table:
        say(f"{rule.action!r} is not in the table: it is judged as any unknown action; `spine policy show` lists those there are")


def _print_explanation(view: ExplanationView, person: Acting, as_json: bool) -> None:
    if as_json:
        print_json(view)
        return
    say(f"{view.action}: {view.said}")
    if view.decided_by is not None:
        say(f"  decided by  {view.decided_by.code}: {view.decided_by.text}")
    say(*(f"  because     {reason.code}: {reason.text}" for reason in view.reasons))
    if view.next_allowed_at is not None:
        say(f"  allowed at  {person.local(view.next_allowed_at)}")
    print_table(("it would be otherwise when", "then"), ((one.when, one.then) for one in view.changes), empty="nothing would change that")
    say(f"policy {view.policy_version}")


def _papers(body: Mapping[str, Any]) -> dict[str, Any]:
    try:
        memo, evidence, risks = papers_in(body)
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_url=False))
        raise InvalidInput(f"the bundle does not fit: {found}") from error
    return {"memo": memo, "evidence": evidence, "risks": risks}


def _payload(payload: dict[str, Any], rule: ActionRule, amount: str | None) -> dict[str, Any]:
    """The money goes where the rule looks for it."""
    if amount is None:
        return payload
    if rule.amount_field is None:
        raise InvalidInput(f"action {rule.action!r} has no amount that policy judges: leave --amount out")
    value, _, currency = amount.partition(" ")
    try:
        money = Money.model_validate({"amount": value, "currency": currency.strip()})
    except ValidationError as error:
        raise InvalidInput(f"amount {amount!r} is not a decimal and a currency, such as '120000.00 SAR'") from error
    if rule.currency_field is not None:
        return {**payload, rule.amount_field: value, rule.currency_field: money.currency}
    return {**payload, rule.amount_field: money.model_dump(mode="json")}


def _decimal(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        raise InvalidInput(f"confidence {text!r} is no number from 0 to 1") from None


def _progress(judged: int) -> None:
    """To the terminal only: what is printed to a file stays what a program reads."""
    if sys.stderr.isatty():
        typer.echo(f"\r{judged} judged", err=True, nl=False)
