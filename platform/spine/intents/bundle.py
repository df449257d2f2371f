"""The papers of class B work: what the proposer brings, what the platform makes of it, and how an edit renews them.

The proposer brings the memo, the evidence pack and the risk register. The approval packet follows from the rule and the judgement,
the execution intent from the proposal: nobody writes down for themselves how many people have to agree. The five together are
`shared.events.records.ClassBBundle`, and they are kept with the intent. Sources: domain.md §1.7, docs/decisions/0041.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.events import keys
from shared.events.records import ApprovalPacket, ClassBBundle, DecisionMemo, EvidencePack, ExecutionIntent, RiskRegister, Source
from spine.audit import Actor
from spine.ids import new_id
from spine.intents.records import Intent
from spine.policy import ActionRule, NeedApproval, Requires


def lacks(intent: Intent) -> tuple[str, ...]:
    """What the bundle does not show besides the evidence itself, in words for whoever proposed: nothing when it is complete."""
    memo = intent.memo
    missing = [] if memo is not None else ["memo"]
    if memo is not None and not memo.required_approvals:
        missing.append("memo.required_approvals (who is to agree)")
    if memo is not None and intent.evidence is not None and intent.evidence.pack_id not in memo.evidence_links:
        missing.append("memo.evidence_links (the pack that it rests on)")
    return (*missing, *(() if intent.risks is not None else ("risk_register",)))


def with_papers(intent: Intent, rule: ActionRule, decision: NeedApproval) -> Intent:
    """The intent with what the platform adds to a bundle, where the rule requires one. Raises ValueError for one that is incomplete:
    the gate denies that before it asks anybody."""
    if rule.requires is not Requires.BUNDLE:
        return intent
    bundle = ClassBBundle.model_validate(
        {
            "memo": intent.memo,
            "evidence_pack": intent.evidence,
            "risk_register": intent.risks,
            "approval_packet": ApprovalPacket(
                approval_class=intent.approval_class,
                reversibility_class=intent.reversibility_class,
                sensitivity_class=intent.sensitivity_class,
                actor_type=intent.requested_by.type,
                approvers_required=tuple(dict.fromkeys((*decision.must_include, *decision.roles))),
                policy_notes=tuple(reason.text for reason in decision.why),
            ),
            "execution_intent": ExecutionIntent(
                workflow_key=intent.automation,
                idempotency_key=keys.provider_request(intent.tenant_id, intent.intent_id),
                requested_side_effect_class=intent.side_effect_class,
                correlation_id=intent.correlation_id,
                payload_summary=_summary(intent),
            ),
        }
    )
    return replace(intent, packet=bundle.approval_packet, execution=bundle.execution_intent)


def re_evidenced(edited: Intent, old: Intent, *, approval_id: str, editor: Actor, now: datetime) -> Intent:
    """An edited revision rests on what the first one rested on, and on the edit: a new pack, and a memo that says so.

    Packs are immutable, so what was agreed to before stays what it was. A person's edit is a source of its own, known by the digest
    of what they wrote; it is as fresh as it is new, but the pack stays as old as its oldest fact.
    """
    pack, memo = old.evidence, old.memo
    if pack is not None:
        edit = Source(source="edit", uri=f"urn:spine:approval:{approval_id}", excerpt_digest=edited.digest, retrieved_at=now)
        pack = pack.model_copy(update={"pack_id": f"ep_{new_id()}", "sources": (*pack.sources, edit), "tool_proof_ids": ()})
    if memo is not None:
        links = tuple(link for link in memo.evidence_links if old.evidence is None or link != old.evidence.pack_id)
        audit = memo.audit_metadata.model_copy(
            update={"verified": False, "tool_proof_id": None, "policy_check_passed": False, "agent_id": editor.id[:200], "timestamp": now}
        )
        context = f"Revision {edited.revision}, edited by {editor.id} from {old.digest}. {memo.decision_context}"[:2000]
        changes: dict[str, Any] = {"memo_id": f"memo_{new_id()}", "decision_context": context, "audit_metadata": audit}
        memo = memo.model_copy(update={**changes, "evidence_links": (*links, *(() if pack is None else (pack.pack_id,)))})
    return replace(edited, evidence=pack, memo=memo, packet=None, execution=None)


def stored(intent: Intent) -> dict[str, Any] | None:
    """As it is kept beside the evidence; also what an incomplete proposal did bring, so that an auditor sees what was missing."""
    parts = {"memo": intent.memo, "risk_register": intent.risks, "approval_packet": intent.packet, "execution_intent": intent.execution}
    brought = {name: part.model_dump(mode="json") for name, part in parts.items() if part is not None}
    return brought or None


def restored(kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of an Intent that `stored` wrote down."""
    if kept is None:
        return {}
    memo, packet, execution = (kept.get(name) for name in ("memo", "approval_packet", "execution_intent"))
    return {
        "memo": None if memo is None else DecisionMemo.model_validate(memo),
        "risks": None if kept.get("risk_register") is None else RiskRegister.model_validate(kept["risk_register"]),
        "packet": None if packet is None else ApprovalPacket.model_validate(packet),
        "execution": None if execution is None else ExecutionIntent.model_validate(execution),
    }


def papers_in(body: Mapping[str, Any]) -> tuple[DecisionMemo | None, EvidencePack | None, RiskRegister | None]:
    """Memo, evidence and risks of a document that holds them under the names of the bundle. Raises pydantic's ValidationError."""
    memo, pack, risks = (body.get(name) for name in ("memo", "evidence_pack", "risk_register"))
    return (
        None if memo is None else DecisionMemo.model_validate(memo),
        None if pack is None else EvidencePack.model_validate(pack),
        None if risks is None else RiskRegister.model_validate(risks),
    )


def _summary(intent: Intent) -> str:
    money = "" if intent.amount is None else f", {intent.amount}"
    return f"{intent.action} of {intent.automation}, revision {intent.revision}{money}: payload {intent.digest}"
