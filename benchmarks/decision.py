"""How long the gate's pure judgement takes, against writing the same proposal's payload as canonical JSON.

That baseline is what every proposal pays anyway (its digest is what an approval is bound to), in the same process, on the same values.
Target: p50 under 50 µs a decision, for each kind of proposal. No database, no clock: facts are given. `python -m benchmarks.decision`
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from rich.console import Console
from rich.table import Table

from shared.events import Money
from spine.canonical import digest
from spine.contacts import Contactable
from spine.policy import Canary, Decision, Facts, PolicyTable, Subject, decide

TARGET_US = 50.0
PAYLOAD = {
    "deal_id": "D-1",
    "contact_id": "contact/acme",
    "account": "Acme",
    "product": "GTX Pro",
    "amount": "4514.00",
    "currency": "USD",
    "terms": "The supplier delivers GTX Pro to Acme for 4514.00 USD, payable within thirty days of the invoice. " * 2,
}
# Action → what stands for its kind: allowed outright, asked, asked for many reasons, denied last of all, not in the table.
KINDS = {
    "crm_deal_update": "allowed",
    "send_email": "asks one person",
    "ma_sign": "asks for every reason there is",
    "send_contract_for_signature": "denied: incomplete bundle",
    "launch_rocket": "not in the table",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision", description=__doc__)
    parser.add_argument("--decisions", type=int, default=20_000, metavar="N", help="of each kind, default 20000")
    count = parser.parse_args().decisions
    policy = PolicyTable.load()
    table = Table(title=f"the gate's pure decision, {count} of each kind")
    for column in ("action", "kind", "p50 µs", "p99 µs", "of the baseline"):
        table.add_column(column, justify="left" if column in ("action", "kind") else "right")
    base50, base99 = measured(lambda: digest(PAYLOAD), count)
    table.add_row("(baseline)", "canonical JSON and SHA-256 of a payload", f"{base50:.1f}", f"{base99:.1f}", "1.00")
    slowest = 0.0
    known = facts(policy)
    for action, kind in KINDS.items():
        p50, p99 = measured(partial(decide, subject(policy, action), known), count)
        table.add_row(action, kind, f"{p50:.1f}", f"{p99:.1f}", f"{p50 / base50:.2f}")
        slowest = max(slowest, p50)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"slowest p50 {slowest:.1f} µs, target under {TARGET_US:.0f} µs: {'met' if slowest < TARGET_US else 'MISSED'}")
    return 0 if slowest < TARGET_US else 1


def measured(once: Callable[[], str | Decision], count: int) -> tuple[float, float]:
    """p50 and p99 in µs, each call timed by itself, after a tenth of them to warm up, the collector held back."""
    for _ in range(count // 10):
        once()
    took = []
    gc.disable()
    try:
        for _ in range(count):
            began = time.perf_counter_ns()
            once()
            took.append(time.perf_counter_ns() - began)
    finally:
        gc.enable()
    took.sort()
    return took[count // 2] / 1000, took[count * 99 // 100] / 1000


def subject(policy: PolicyTable, action: str) -> Subject:
    rule = policy.rule(action)
    return Subject(
        tenant_id="acme",
        automation="contract-signature",
        action=action,
        rule=rule,
        approval=rule.approval,
        reversibility=rule.reversibility,
        sensitivity=rule.sensitivity,
        side_effect=rule.side_effect,
        correlation_id="flow",
        has_evidence=True,
        bundle_lacks=("memo", "risk_register") if action == "send_contract_for_signature" else (),
        confidence=Decimal("0.2"),
        amount=Money.of("6000000", "SAR"),
    )


def facts(policy: PolicyTable) -> Facts:
    return Facts(
        tenant_id="acme",
        effects_allowed=frozenset(KINDS),
        contact=Contactable(),
        canary=Canary.INSIDE,
        confidence_threshold=policy.confidence_threshold,
        class_approvers=policy.approvers,
    )


if __name__ == "__main__":
    sys.exit(main())
