"""The policy table: what each action is, who must agree to it, and which connector carries it out.

`actions.yaml` holds the figures; its digest is the policy version that is stamped on every decision. Reading it is strict: an
unknown key, a duplicate, a wrong type, a contradiction or a threshold that is not monotone is refused, all of them at once, each
with the file, the line and the reason.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import Field, ValidationError

from shared.events import ActionClass, ApprovalClass
from spine.canonical import digest
from spine.contacts import ContactRules
from spine.errors import Misconfigured
from spine.policy import contradictions
from spine.policy.reading import Finding, Written, read
from spine.policy.rules import ActionRule, Strict

TABLE = Path(__file__).with_name("actions.yaml")
_RULES = ("unknown", "empty")
_USUAL = {ApprovalClass.A0: 0, ApprovalClass.A1: 1, ApprovalClass.A2: 2, ApprovalClass.A3: 2}
Model = TypeVar("Model", bound=Strict)


class _Shared(Strict):
    """What all lines share."""

    approvers: Mapping[ApprovalClass, int]
    confidence_threshold: Annotated[Decimal, Field(ge=0, le=1)]
    notice_cooldown: Annotated[timedelta, Field(ge=timedelta(0))]
    """Between two notices about the same waiting approval."""
    contact: ContactRules
    role_sets: Mapping[str, tuple[str, ...]] = {}
    """Named sets of functions, for lines to refer to by anchor."""


class PolicyTable(_Shared):
    """All lines, with what they share. `version` changes with any figure in it."""

    unknown: ActionRule
    empty: ActionRule
    actions: Mapping[str, ActionRule]
    version: str = ""

    @classmethod
    def load(cls, path: Path | None = None, *, zone: str | None = None) -> Self:
        """Read a table, by default the one shipped; `zone` puts the quiet hours elsewhere, and changes the version.

        Raises Misconfigured, naming the file, and the line and the action of everything that is wrong with it.
        """
        path = path or TABLE
        written = read(path)
        table, findings = _table(cls, written, zone)
        if table is None:
            raise Misconfigured(f"policy table {str(path)!r} is not usable: {_told(findings)}")
        return table

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """A table from plain data as in the file. Raises Misconfigured."""
        table, findings = _table(cls, Written("policy table", raw), None)
        if table is None:
            raise Misconfigured(_told(findings))
        return table

    def rule(self, action: str) -> ActionRule:
        """The line of an action; an empty name gets the forbidden one, an unknown name the one that asks (never class A)."""
        if not action.strip():
            return self.empty
        return self.actions.get(action) or self.unknown.model_copy(update={"action": action})


def findings_of(path: Path) -> tuple[Finding, ...]:
    """What is wrong with a table, all of it; nothing for one that loads. Raises Misconfigured for what is no YAML."""
    return _table(PolicyTable, read(path), None)[1]


def _told(findings: tuple[Finding, ...]) -> str:
    return str(findings[0]) if len(findings) == 1 else f"{len(findings)} findings\n" + "\n".join(map(str, findings))


Table = TypeVar("Table", bound=PolicyTable)


def _table(kind: type[Table], written: Written, zone: str | None) -> tuple[Table | None, tuple[Finding, ...]]:
    raw = written.values
    if not isinstance(raw, Mapping):
        return None, (Finding(written.place(), f"it is a {type(raw).__name__}, not a mapping"),)
    findings = list(written.doubles)
    shared = {name: value for name, value in raw.items() if name not in (*_RULES, "actions")}
    if zone is not None and isinstance(shared.get("contact"), Mapping):
        shared["contact"] = {**shared["contact"], "zone": zone}
    common = _read(_Shared, shared, written, (), findings)
    approvers = _USUAL if common is None else common.approvers  # so that the lines are looked at all the same
    findings += (Finding(written.place("approvers"), f"approvers: {reason}") for reason in _of_approvers(approvers))
    lines = raw.get("actions")
    if not isinstance(lines, Mapping):
        findings.append(Finding(written.place("actions"), "'actions' is a mapping of the name of an action to its line"))
        lines = {}
    rules = {name: _rule(name, (name,), raw.get(name), approvers, written, findings) for name in _RULES}
    actions = {str(name): _rule(str(name), ("actions", str(name)), line, approvers, written, findings) for name, line in lines.items()}
    known = {name: rule for name, rule in actions.items() if rule is not None}
    for rule, field, reason in contradictions.of_table(known, approvers):
        findings.append(Finding(written.place("actions", rule.action, field), f"action {rule.action!r}: {reason}"))
    unknown, empty = rules["unknown"], rules["empty"]
    if unknown is not None and unknown.action_class is ActionClass.A:
        findings.append(Finding(written.place("unknown"), "an unknown action is never class A"))
    if empty is not None and empty.action_class is not ActionClass.C:
        findings.append(Finding(written.place("empty"), "an empty action is class C"))
    if findings or common is None or unknown is None or empty is None:
        return None, tuple(findings)
    empty = empty.model_copy(update={"action": ""})
    table = kind(**{name: getattr(common, name) for name in _Shared.model_fields}, unknown=unknown, empty=empty, actions=known)
    return table.model_copy(update={"version": digest(table.model_dump(mode="json", exclude={"version"}))}), ()


def _rule(
    name: str, path: tuple[str, ...], line: object, approvers: Mapping[ApprovalClass, int], written: Written, findings: list[Finding]
) -> ActionRule | None:
    about = f"action {name!r}" if path[0] == "actions" else f"{name!r}"
    if not isinstance(line, Mapping):
        findings.append(Finding(written.place(*path), f"{about} is no mapping of fields to values"))
        return None
    approval = line.get("approval")
    count = approvers.get(ApprovalClass(approval), 0) if approval in list(ApprovalClass) else 0  # of whatever type it is
    rule = _read(ActionRule, {"approvers": count, **line, "action": name}, written, path, findings, about)
    if rule is not None:
        findings += (Finding(written.place(*path, field), f"{about}: {reason}") for field, reason in contradictions.of_line(rule))
    return rule


def _read(
    kind: type[Model], values: Mapping[str, Any], written: Written, path: tuple[str, ...], findings: list[Finding], about: str = ""
) -> Model | None:
    try:
        return kind.model_validate_json(json.dumps(values))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_context=False, include_input=False):
            where = tuple(map(str, one["loc"]))
            reason = f"{'.'.join(where)}: {one['msg']}" if where else one["msg"]
            findings.append(Finding(written.place(*path, *where), f"{about}: {reason}" if about else reason))
    except (TypeError, ValueError) as error:  # a value that JSON does not have, such as a date without quotes
        findings.append(Finding(written.place(*path), f"{about or 'the table'}: {error}; write it in quotes"))
    return None


def _of_approvers(approvers: Mapping[ApprovalClass, int]) -> list[str]:
    if set(approvers) != set(ApprovalClass):
        return [f"say how many for each of {', '.join(ApprovalClass)}"]
    counts = [approvers[level] for level in ApprovalClass]
    if counts[0] != 0 or counts[1] < 1 or counts != sorted(counts):
        return ["0 for A0, at least 1 for A1, and never fewer for a higher class"]
    return []
