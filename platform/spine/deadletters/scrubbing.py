"""What a letter may hold: nothing secret and nobody's address. And how an edited copy gets back what was hidden from the editor."""

from typing import Any

from spine.telemetry import scrub


def scrubbed(value: Any) -> Any:
    """JSON with every text in it scrubbed. Ids, times and money pass unchanged."""
    match value:
        case str():
            return scrub(value)
        case dict():
            return {name: scrubbed(item) for name, item in value.items()}
        case list() | tuple():
            return [scrubbed(item) for item in value]
        case _:
            return value


def restored(edited: Any, original: Any) -> Any:
    """What an editor who saw `scrubbed(original)` meant: a text that he left as it was shown is the original's own.

    Without this a retry would publish "[email]" as somebody's address.
    """
    match edited, original:
        case dict(), dict():
            return {name: restored(item, original.get(name)) for name, item in edited.items()}
        case list(), list() if len(edited) == len(original):
            return [restored(one, other) for one, other in zip(edited, original, strict=True)]
        case str(), str() if edited == scrub(original):
            return original
        case _:
            return edited
