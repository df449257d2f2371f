"""A row's place is given by the database alone.

Readers and seals go by (xid, position) behind a horizon and never look back (docs/decisions/0002). A row that brought a place of its
own could stand behind what was read already, and nobody would ever see it. So our roles write what they know, and nothing else.
"""

from spine.db.walls import narrow

revision = "0012"
down_revision = "0011"

_EVENT = "tenant_id, event_id, source, type, subject, partition_key, correlation_id, causation_id, occurred_at, envelope"
_AUDIT_ROW = (
    "audit_id, tenant_id, occurred_at, actor_type, actor_id, action, subject_type, subject_id, correlation_id, "
    "trace_id, span_id, digest, severity, detail"
)


def upgrade() -> None:
    narrow("events", "insert", _EVENT, "spine_app")
    narrow("audit_log", "insert", _AUDIT_ROW, "spine_app", "spine_relay")
    # `since` is a place too: with another one, an endpoint would be told of the past, or of nothing.
    narrow("webhook_endpoints", "insert", "tenant_id, endpoint_id, url, event_types, created_by, created_at", "spine_app")
    narrow("webhook_endpoints", "update", "state, why_disabled, given_up_in_a_row", "spine_app", "spine_relay")


def downgrade() -> None:
    raise NotImplementedError("0011 reads what 0012 wrote: nothing has to be taken back")
