"""From a CRM export to events: read, clean, split by month, score, evaluate, publish.

`export` reads files, `cleaning` names dirt, `scoring` learns, `publishing` selects and writes: all without Dagster. `assets`
and `checks` show them to Dagster.
"""
