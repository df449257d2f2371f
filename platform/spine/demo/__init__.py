"""The main job, end to end, in a fresh home: what `spine demo` runs, shows and proves.

Nothing here does the work: the demo starts the stack, plays the people (who approve, edit, reject and answer) and the clock,
and then counts. Data goes through the real Dagster daemon, commitments through Temporal, effects to provider processes
that remember what they received, and the far-end count is compared with the platform's own.
"""
