"""Connectors to providers. Only spine.effects calls them, with what the gate let through; an import rule holds everyone else off.

Each plays the `Connector` role: `perform(tenant_id, payload)` does the thing once per idempotency key as far as the provider
can tell, `find(tenant_id, payload)` asks the provider whether it was done. Errors say what is known: ProviderRefused and
ProviderUnavailable mean that nothing happened, OutcomeUnknown that it may have.
"""
