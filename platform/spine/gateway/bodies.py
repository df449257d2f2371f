"""What requests share: strict bodies, strict queries, ids that fit into an envelope."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

CorrelationId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
Limit = Annotated[int, Field(ge=1, le=200)]
DEEPEST = 64  # objects and lists inside each other; what hashes, redacts and stores a payload goes through it recursively
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]+$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Body(Strict):
    """Of an unsafe call."""

    tenant_id: str | None = Field(default=None, description="may be left out: the key chooses the tenant; another one is refused")

    @model_validator(mode="before")
    @classmethod
    def _not_too_deep(cls, body: Any) -> Any:
        level, depth = [body], 0
        while level := [
            inner for one in level if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)
        ]:
            depth += 1
            if depth > DEEPEST:
                raise ValueError(f"nested too deeply, more than {DEEPEST} levels: send a reference to the data instead")
        return body


class Query(Strict):
    """Of a listing: a misspelt filter is an error, not everything."""

    tenant_id: str | None = Field(default=None, description="may be left out: the key chooses the tenant; another one is refused")
    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description="`next` of the page before; without it, from the beginning")
