"""The platform: event log, gate, intents, approvals, effects, audit, gateway and the stack that runs them.

Import the module you need (`spine.eventlog`, `spine.intents`, …); this package imports nothing by itself, so that a
workflow module may name `spine.registry` without pulling a database driver into Temporal's sandbox.
"""
