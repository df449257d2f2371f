"""Idempotency keys: who may repeat what, and still do it once. Each recipe has its formula in the docstring.

A key is unique within a tenant and an automation (workflow id = `{tenant}/{automation}/{key}`, ledger row = tenant,
automation, key, revision), so recipes name the tenant only where the key leaves that frame, for a provider.
Every key is 1 to 96 characters of letters, digits, `.`, `_`, `-` and `:`. Parts that do not fit (spaces, slashes, an
address somebody took for an id, too long) are replaced by a digest of the whole, so no personal data shows in a key.
Sources: the inventory of seeds/002, domain.md §4 (per-step keys) and rule 13 of its list of rules.
"""

import hashlib
import json
import re
from datetime import date
from typing import Protocol

_SAFE_PART = re.compile(r"[A-Za-z0-9._-]+")
_LONGEST = 96


class _OfLead(Protocol):
    @property
    def lead_id(self) -> str: ...


class _OfDeal(Protocol):
    @property
    def deal_id(self) -> str: ...


class _OfTask(Protocol):
    @property
    def key(self) -> str: ...


def key_of(*parts: str) -> str:
    """`part:part:…` where that is safe and short, else `sha256:` and 40 hex digits of SHA-256 over the JSON array of parts.

    The same parts give the same key for ever; ("a", "bc") differs from ("ab", "c"). Raises ValueError for no or empty parts:
    an empty key would make strangers one.
    """
    if not parts or not all(parts):
        raise ValueError(
            f"an idempotency key needs parts, none of them empty; got {len(parts)} of which {sum(not part for part in parts)} empty"
        )
    plain = ":".join(parts)
    if len(plain) <= _LONGEST and all(_SAFE_PART.fullmatch(part) for part in parts):
        return plain
    return "sha256:" + hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def per_lead(data: _OfLead) -> str:
    """lead: one sequence per lead, however often it is scored."""
    return key_of(data.lead_id)


def per_deal(data: _OfDeal) -> str:
    """deal: one contract per deal."""
    return key_of(data.deal_id)


def per_task(data: _OfTask) -> str:
    """key: the caller of a task chose it."""
    return key_of(data.key)


def sequence_step(lead_id: str, step: int) -> str:
    """(lead, step): a step is sent once, whatever happens between the send and the cursor."""
    return key_of(lead_id, f"step-{step}")


def sequence_message(tenant_id: str, template: str, recipient: str, business_day: date) -> str:
    """(tenant, template, recipient, business day): nobody gets the same text twice a day.

    `recipient` is a contact id; the day is cut in the tenant's zone, by the caller.
    """
    return key_of(tenant_id, template, recipient, business_day.isoformat())


def workflow_step(step: str, revision: int = 1) -> str:
    """(step, revision) within one workflow: the intent of a step; an edited payload is the next revision."""
    return key_of(step, f"r{revision}")


def provider_request(tenant_id: str, intent_id: str) -> str:
    """(tenant, intent): what a provider gets as its idempotency key; providers do not know our tenants apart."""
    return key_of(tenant_id, intent_id)


def crm_upsert(tenant_id: str, kind: str, external_id: str) -> str:
    """(tenant, kind of object, external id): a write to the CRM is an upsert on this, never a create."""
    return key_of(tenant_id, kind, external_id)


def approval_notice(approval_id: str, level: int) -> str:
    """(approval, level): each level of an escalation is told once."""
    return key_of(approval_id, f"level-{level}")


def agent_task(tenant_id: str, task_id: str) -> str:
    """(tenant, task): a run of an agent; a retry of the whole chain repeats none of its effects."""
    return key_of(tenant_id, task_id)


def notification(provider: str, external_id: str) -> str:
    """(provider, its external id): a duplicate is skipped on conflict."""
    return key_of(provider, external_id)


def payout_batch(batch_id: str) -> str:
    """batch: a payout batch is paid once; a mistake is undone by a reversing entry, not by a second run."""
    return key_of("payout", batch_id)


def last_good_evaluation(evaluation_digest: str) -> str:
    """digest of the last successful evaluation: one promotion, or one roll-back, for each evaluation that passed."""
    return key_of("evaluation", evaluation_digest)


def published_row(dataset: str, event: str, row_id: str) -> str:
    """(dataset, event, row): a row becomes an event once, however often the dataset is materialised."""
    return key_of(dataset, event, row_id)


def file_content(content: bytes) -> str:
    """sha256 of the bytes: the same file is taken in once, whatever it is called."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def webhook(provider: str, message_id: str) -> str:
    """(provider, webhook-id): a delivery that comes again changes nothing."""
    return key_of(provider, message_id)


def contact_ref(account: str) -> str:
    """`contact/` + the account's name as a slug: how events and payloads refer to a person without naming one.

    Every plane derives the same reference, so that the data plane need not see the contacts table. Letters and digits of any
    script are kept, everything else becomes single hyphens. Raises ValueError when nothing is left.
    """
    slug = re.sub(r"[\W_]+", "-", account.casefold()).strip("-")
    if not slug:
        raise ValueError(f"account {account!r} has no letter or digit to make a contact reference of")
    return f"contact/{slug}"
