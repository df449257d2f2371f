"""What is judged, who let it happen, what was done: documents, intents, approvals, effects, audit, contactability."""

from alembic import op

from spine.db.walls import append_only, open_to_relay, wall

revision = "0002"
down_revision = "0001"

_INTENT_STATES = (
    "'proposed', 'awaiting_approval', 'runnable', 'executing', 'completed', 'failed', 'unknown', 'denied', 'rejected', 'expired', "
    "'superseded', 'cancelled', 'compensating', 'compensated', 'compensation_failed'"
)


def upgrade() -> None:
    # Drafts and payloads live here and travel through Temporal as (document_id, digest) only.
    op.execute(
        """
        create table documents (
            tenant_id text not null,
            document_id uuid not null,
            kind text not null,
            body jsonb not null,
            digest text not null,
            correlation_id text not null,
            created_at timestamptz not null default now(),
            primary key (tenant_id, document_id)
        )
        """
    )
    wall("documents", app="select, insert")

    op.execute(
        f"""
        create table intents (
            tenant_id text not null,
            intent_id uuid not null,
            automation text not null,
            key text not null,
            revision int not null default 1,
            action text not null,
            payload jsonb not null,
            digest text not null,
            amount numeric(14, 2),
            currency text,
            action_class text not null,
            approval_class text not null,
            reversibility_class text not null,
            sensitivity_class text not null,
            side_effect_class text not null,
            state text not null check (state in ({_INTENT_STATES})),
            reasons jsonb not null default '[]',
            policy_version text not null,
            evidence jsonb,
            confidence numeric(4, 3),
            actor_type text not null,
            requested_by text not null,
            workflow_id text,
            correlation_id text,
            causation_id text,
            traceparent text,
            supersedes uuid,
            compensates uuid,
            not_before timestamptz,
            created_at timestamptz not null,
            updated_at timestamptz not null,
            primary key (tenant_id, intent_id),
            unique (tenant_id, automation, key, revision),
            foreign key (tenant_id, supersedes) references intents (tenant_id, intent_id),
            foreign key (tenant_id, compensates) references intents (tenant_id, intent_id)
        )
        """
    )
    op.execute("create index intents_by_state on intents (tenant_id, state, created_at)")
    op.execute("create index intents_by_correlation on intents (tenant_id, correlation_id)")
    wall("intents", app="select, insert, update")

    op.execute(
        """
        create table approvals (
            tenant_id text not null,
            approval_id uuid not null,
            intent_id uuid not null,
            action text not null,
            digest text not null,
            policy_version text not null,
            approvers_needed int not null check (approvers_needed > 0),
            roles text[] not null,
            why jsonb not null,
            state text not null
                check (state in ('pending', 'approved', 'consumed', 'edited', 'rejected', 'expired', 'cancelled')),
            requested_by text not null,
            requested_at timestamptz not null,
            warn_at timestamptz not null,
            breach_at timestamptz not null,
            escalate_at timestamptz not null,
            expires_at timestamptz not null,
            escalation_level int not null default 0,
            resolved_at timestamptz,
            consumed_at timestamptz,
            primary key (tenant_id, approval_id),
            unique (tenant_id, intent_id),
            foreign key (tenant_id, intent_id) references intents (tenant_id, intent_id)
        )
        """
    )
    op.execute("create index approvals_pending on approvals (tenant_id, requested_at) where state = 'pending'")
    wall("approvals", app="select, insert, update")

    op.execute(
        """
        create table approval_decisions (
            tenant_id text not null,
            decision_id uuid not null,
            approval_id uuid not null,
            verdict text not null check (verdict in ('approve', 'edit', 'reject')),
            decided_by text not null,
            role text not null,
            reason text,
            digest text not null,
            decided_at timestamptz not null,
            primary key (tenant_id, decision_id),
            unique (tenant_id, approval_id, decided_by),
            foreign key (tenant_id, approval_id) references approvals (tenant_id, approval_id)
        )
        """
    )
    wall("approval_decisions", app="select, insert")
    append_only("approval_decisions")

    # One row an intent: the ledger of what reached the outside world. `attempt_token` guards every later write.
    op.execute(
        """
        create table effects (
            tenant_id text not null,
            effect_id uuid not null,
            intent_id uuid not null,
            action text not null,
            plugin text not null,
            idempotency_key text not null,
            digest text not null,
            state text not null check (state in ('executing', 'completed', 'failed', 'unknown')),
            attempts int not null default 1,
            attempt_token uuid not null,
            provider_reference text,
            receipt jsonb,
            as_intended boolean,
            reconciled boolean not null default false,
            error_code text,
            error text,
            trace_id text,
            started_at timestamptz not null,
            finished_at timestamptz,
            primary key (tenant_id, effect_id),
            unique (tenant_id, intent_id),
            unique (tenant_id, plugin, idempotency_key),
            foreign key (tenant_id, intent_id) references intents (tenant_id, intent_id)
        )
        """
    )
    wall("effects", app="select, insert, update")

    op.execute(
        """
        create table audit_log (
            position bigint generated always as identity primary key,
            audit_id uuid not null unique,
            tenant_id text not null,
            occurred_at timestamptz not null,
            actor_type text not null,
            actor_id text not null,
            action text not null,
            subject_type text not null,
            subject_id text not null,
            correlation_id text,
            trace_id text,
            span_id text,
            digest text,
            severity text not null default 'V0' check (severity in ('V0', 'V1', 'V2', 'V3')),
            detail jsonb not null default '{}',
            recorded_at timestamptz not null default now()
        )
        """
    )
    op.execute("create index audit_by_subject on audit_log (tenant_id, subject_id)")
    op.execute("create index audit_by_correlation on audit_log (tenant_id, correlation_id)")
    wall("audit_log", app="select, insert")
    open_to_relay("audit_log", "insert")
    append_only("audit_log")

    # Restricted fields of a person live in this one table; everything else refers to contact_id.
    op.execute(
        """
        create table contacts (
            tenant_id text not null,
            contact_id text not null,
            account text not null,
            email text,
            updated_at timestamptz not null default now(),
            primary key (tenant_id, contact_id)
        )
        """
    )
    wall("contacts")

    op.execute(
        """
        create table consents (
            tenant_id text not null,
            consent_id uuid not null,
            contact_id text not null,
            purpose text not null check (purpose in ('marketing', 'sales', 'service', 'analytics')),
            channel text not null check (channel in ('whatsapp', 'email', 'sms', 'phone')),
            kind text not null check (kind in ('granted', 'opted_out')),
            source text not null,
            given_at timestamptz not null,
            expires_at timestamptz,
            primary key (tenant_id, consent_id),
            foreign key (tenant_id, contact_id) references contacts (tenant_id, contact_id)
        )
        """
    )
    op.execute("create index consents_of_contact on consents (tenant_id, contact_id, channel, given_at)")
    wall("consents", app="select, insert")
    append_only("consents")

    # Counted against caps from the moment the send starts, so that two sends at once cannot both be the second of the week.
    op.execute(
        """
        create table messages_sent (
            tenant_id text not null,
            intent_id uuid not null,
            contact_id text not null,
            channel text not null,
            sent_at timestamptz not null,
            primary key (tenant_id, intent_id)
        )
        """
    )
    op.execute("create index messages_to_contact on messages_sent (tenant_id, contact_id, channel, sent_at)")
    wall("messages_sent", app="select, insert, delete")

    op.execute(
        """
        create table kill_switches (
            tenant_id text not null,
            scope text not null check (scope in ('tenant', 'automation', 'action', 'plugin')),
            target text not null,
            reason text not null,
            engaged_by text not null,
            engaged_at timestamptz not null,
            primary key (tenant_id, scope, target)
        )
        """
    )
    wall("kill_switches")


def downgrade() -> None:
    raise NotImplementedError("records of decisions are not taken back; restore a backup instead")
