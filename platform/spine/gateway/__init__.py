"""The way in over HTTP: tasks, events, approvals, intents, journeys, automations, webhooks, health.

One request, one transaction: the key is checked, the work done and the answer remembered together or not at all. The tenant
is the credential's; a request that names another one is refused and goes on record. Every error is an RFC 9457 problem.
`spine.gateway.app.create_app` makes the application, `python -m spine.gateway` serves it.
"""
