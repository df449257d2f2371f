"""Commands run in the test's process, as a person of a tenant."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spine.cli import app, exit_code
from spine.db import Database
from spine.errors import SpineError
from spine.identity import Role
from spine.registry import Registry
from tests.gateway.conftest import NOON, Door, registry, services_over


@dataclass
class Spoken:
    code: int
    out: str
    error: str

    def json(self) -> Any:
        assert self.code == 0, self.error or self.out
        return json.loads(self.out)


Spine = Callable[..., Spoken]


@pytest.fixture
def office(database: Database, monkeypatch: pytest.MonkeyPatch) -> Door:
    """People with keys and approvals that wait; no gateway."""
    monkeypatch.setattr(Registry, "load", registry)
    monkeypatch.setattr("spine.telemetry.shutdown", lambda: None)  # the tests' process goes on
    return Door(None, services_over(database), database)  # type: ignore[arg-type]


@pytest.fixture
def spine(office: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spine:
    """Run a command as a person of a tenant, as `main` would: the exit code and the line of an error included."""

    def run(
        *arguments: str, person: str | None = "omar", tenant: str = "acme", role: Role = Role.APPROVER, given: str | None = None
    ) -> Spoken:
        environment = {
            "SPINE_HOME": str(tmp_path),
            "SPINE_TENANT": tenant,
            "SPINE_DATABASE_URL": office.database.app_url,
            "SPINE_API_KEY": office.key(person, tenant=tenant, role=role) if person else None,
            "SPINE_CLOCK": f"{NOON.isoformat()}@1",
            "SPINE_TEMPORAL_UI_URL": "http://temporal.test",
        }
        done = CliRunner().invoke(app, arguments, env=environment, input=given)
        if isinstance(done.exception, SpineError):
            return Spoken(exit_code(done.exception), done.output, f"{done.exception.code}: {done.exception}")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Spoken(done.exit_code, done.output, "")

    monkeypatch.setenv("SPINE_HOME", str(tmp_path))
    return run
