"""What is wrong with a payload, field by field, by the model of the connector that would carry it out."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from spine.registry import Registry


def model_of(action: str, registry: Registry) -> type[BaseModel] | None:
    """The connector's own model of an action's payload; None for an action that no connector carries out."""
    for plugin in registry.plugins.values():
        if (model := plugin.actions.get(action)) is not None:
            found: type[BaseModel] = model
            return found
    return None


def misfits(action: str, payload: Mapping[str, Any], registry: Registry) -> list[tuple[tuple[str, ...], str]]:
    """(path of the field, what is wrong), without any value; empty when it fits or nobody knows better."""
    if (model := model_of(action, registry)) is None:
        return []
    try:
        model.model_validate(dict(payload))
    except ValidationError as error:
        return [(tuple(map(str, one["loc"])), one["msg"]) for one in error.errors(include_input=False, include_url=False)]
    return []
