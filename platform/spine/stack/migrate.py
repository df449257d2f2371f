"""`python -m spine.stack.migrate [spine] [langgraph] [dagster]`: bring the databases to what this version expects.

Each is repeatable, and done once before anything that uses it starts: LangGraph's setup fails when six processes call it at once and
waits for every open transaction of its database (traps 36); Dagster's processes would race for its tables.
"""

import sys
from collections.abc import Callable, Mapping

from spine.errors import InvalidInput
from spine.settings import Settings
from spine.stack.dagster_home import note_storage


def _spine(settings: Settings) -> str:
    from spine.db import migrate

    return f"at revision {migrate(settings.require('database_owner_url'))}"


def _langgraph(settings: Settings) -> str:
    from spine.storage import setup_checkpoints

    setup_checkpoints(settings.require("langgraph_database_url"))
    return "checkpoint tables are there"


def _dagster(settings: Settings) -> str:
    from dagster import DagsterInstance

    with DagsterInstance.get() as instance:  # makes the tables if there are none
        instance.upgrade()
    note_storage(settings.home / "dagster")
    return "storage is up to date"


_TARGETS: Mapping[str, Callable[[Settings], str]] = {"spine": _spine, "langgraph": _langgraph, "dagster": _dagster}


def main(names: list[str]) -> None:
    settings = Settings.load()
    for name in names or _TARGETS:
        if name not in _TARGETS:
            raise InvalidInput(f"unknown database {name!r}: choose from {', '.join(_TARGETS)}")
        sys.stdout.write(f"{name}: {_TARGETS[name](settings)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
