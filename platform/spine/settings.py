"""Configuration, read once in each process's `main` and handed down; no other module reads the environment.

Order: environment variable → `<NAME>_FILE` (a path whose content is the value) → the running stack's `stack.json`
in `SPINE_HOME` → default. Secrets are `SecretStr` and do not print.
"""

import json
import os
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from spine.clock import BusinessClock
from spine.errors import Misconfigured

STACK_FILE = "stack.json"  # what `spine up` writes for every later command: {"environment": {NAME: value}, ...}, mode 0600


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SPINE_", extra="ignore", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    home: Path = Field(default=Path(".spine"), description="where the stack keeps its state, logs and secrets")
    tenant: str = Field(default="demo", description="the tenant that command-line tools act for when --tenant is absent")
    clock: str = Field(default="", description="business time, see spine.clock; empty is real time")
    timezone: str = Field(default="Asia/Riyadh", description="zone in which business days and quiet hours are cut")

    database_url: SecretStr | None = Field(default=None, description="libpq URL of role spine_app on database spine")
    database_relay_url: SecretStr | None = Field(default=None, description="the same for role spine_relay (reads every tenant's events)")
    database_owner_url: SecretStr | None = Field(default=None, description="the same for role spine_owner (migrations)")
    dagster_database_url: SecretStr | None = Field(default=None, description="libpq URL of Dagster's own database")
    langgraph_database_url: SecretStr | None = Field(default=None, description="libpq URL of LangGraph's own database")

    vault_key: SecretStr | None = Field(default=None, description="SECRET[,OLDER…] that wraps people's data keys, see spine.keyring")

    temporal_address: str | None = Field(default=None, validation_alias=AliasChoices("temporal_address", "TEMPORAL_ADDRESS"))
    temporal_namespace: str = Field(default="default", validation_alias=AliasChoices("temporal_namespace", "TEMPORAL_NAMESPACE"))
    temporal_ui_url: str | None = None
    dagster_url: str | None = Field(default=None, description="address of the Dagster webserver")
    gateway_url: str | None = Field(default=None, description="address of the gateway")
    api_key: SecretStr | None = Field(default=None, description="the key that command-line tools present")

    token_key: SecretStr | None = Field(default=None, description="at least 32 characters; signs approval tokens, seals webhook secrets")
    rate_limit: str = Field(default="6000/minute", description="calls a key may make, in one gateway process; `off` for no limit")
    failure_limit: str = Field(default="30/minute", description="failed authentications an address may have, in one gateway process; `off`")
    oidc_issuer: str | None = Field(default=None, description="exact `iss` of bearer tokens; empty: API keys only")
    oidc_audience: str | None = Field(default=None, description="the `aud` that bearer tokens are made out to")
    oidc_jwks_url: str | None = Field(default=None, description="where the issuer's keys are; empty: asked of its discovery document")
    oidc_tenant_claim: str = Field(default="tenant", description="claim that names the tenant; dots reach into objects")
    oidc_principal_claim: str = Field(default="sub", description="claim that names the person, as in that person's API keys")
    oidc_role_claim: str = Field(default="roles", description="claim with a role, or a list of which the highest counts")
    oidc_roles: str = Field(default="", description="their=ours, … such as spine-admins=admin; empty: the claim has our own words")
    oidc_client_id: str | None = Field(default=None, description="of the console, for logging in; its ID tokens are made out to it")
    oidc_client_secret: SecretStr | None = Field(default=None, description="if the issuer gave the console one")
    oidc_scopes: str = "openid profile"

    email_smtp_url: SecretStr | None = Field(default=None, description="smtp[s]://[user:password@]host:port")
    email_lookup_url: str | None = Field(default=None, description="HTTP endpoint that finds a sent message by Message-ID")
    email_sender: str = "Sales <sales@spine.example>"
    crm_url: str | None = None
    crm_token: SecretStr | None = None
    esign_url: str | None = None
    esign_token: SecretStr | None = None
    esign_webhook_secret: SecretStr | None = Field(default=None, description="whsec_… of Standard Webhooks")

    webhooks_may_be_private: bool = Field(default=False, description="webhooks out may go to private and loopback addresses: development")

    model: str | None = Field(default=None, description="init_chat_model name, such as openai:gpt-4o; empty: the deterministic baseline")
    model_base_url: str | None = None
    model_api_key: SecretStr | None = None
    model_is_private: bool = Field(default=False, description="the model runs under our own roof: prompts go to it unredacted")
    model_price: str | None = Field(default=None, description="INPUT/OUTPUT in USD a million tokens, for a model of unlisted price")

    data_dir: Path | None = Field(default=None, description="root of the parquet datasets; default: <home>/data")
    crm_export: Path | None = Field(default=None, description="folder of the CRM export; default: the shipped sample")
    otlp_endpoint: str | None = Field(default=None, validation_alias=AliasChoices("otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"))

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment, the `_FILE` secrets and the running stack. Raises Misconfigured, naming the variable."""
        home = Path(overrides.get("home") or os.environ.get("SPINE_HOME") or ".spine")
        values: dict[str, Any] = {**_from_stack(home), **_from_files(), **_from_environment(), "home": home, **overrides}
        try:
            return cls(**values)
        except ValueError as error:
            raise Misconfigured(f"settings do not fit: {error}") from error

    def business_clock(self) -> BusinessClock:
        return BusinessClock.parse(self.clock)

    def require(self, name: str) -> str:
        """The value of an optional setting that this process cannot do without. Raises Misconfigured with the cure."""
        value = getattr(self, name)
        if value is None:
            variable = variable_of(name)
            raise Misconfigured(f"{variable} is not set and no stack runs in {str(self.home)!r}: start one with `spine up`, or set it")
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def tenant_named() -> str | None:
    """The tenant that SPINE_TENANT (or its `_FILE`) names: a person's word, unlike the stack's and the default of `Settings.tenant`."""
    return {**_from_files(), **_from_environment()}.get("tenant")


def variable_of(name: str) -> str:
    """`temporal_address` → `TEMPORAL_ADDRESS`, everything of ours → `SPINE_…`."""
    alias = Settings.model_fields[name].validation_alias
    return str(alias.choices[-1]) if isinstance(alias, AliasChoices) else f"SPINE_{name.upper()}"


def _from_environment() -> dict[str, str]:
    pairs = ((name, os.environ.get(variable_of(name))) for name in Settings.model_fields)
    return {name: value for name, value in pairs if value}


def _from_files() -> dict[str, str]:
    values = {}
    for name in Settings.model_fields:
        if path := os.environ.get(f"{variable_of(name)}_FILE"):
            try:
                values[name] = Path(path).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise Misconfigured(f"{variable_of(name)}_FILE={path!r} cannot be read: {error}") from error
    return values


def _from_stack(home: Path) -> dict[str, str]:
    stack = home / STACK_FILE
    if not stack.exists():
        return {}
    try:
        environment = json.loads(stack.read_text(encoding="utf-8"))["environment"]
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(f"{str(stack)!r} is not readable: {error}; `spine down` then `spine up` writes it anew") from error
    names = {variable_of(name): name for name in Settings.model_fields}
    return {names[variable]: value for variable, value in environment.items() if variable in names}
