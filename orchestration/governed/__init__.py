"""How a commitment touches the world: propose → wait for a yes → commit → compensate. The only way, for every workflow.

`messages` are what passes between a workflow and its bookkeeping, `workflow` is the base class of commitments, `activities`
is the side that knows the database and the gate. Importing this package imports none of them: workflow code loads in
Temporal's sandbox, which must not meet a driver.
"""
