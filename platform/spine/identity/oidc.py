"""Bearer tokens of the company's identity provider: a JWT is verified, and its claims become the same `Principal` as an API key.

Everything fails closed: an algorithm that is not on the list, another issuer or audience, a claim that is missing or of another
shape than it should be. The issuer is trusted to say tenant and role; whoever administers it is an administrator here.
A person's principal is the same name as in that person's API keys, so choose the claim that says it: people are counted by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import jwt
from jwt.exceptions import ExpiredSignatureError, ImmatureSignatureError, InvalidAudienceError, InvalidIssuerError, PyJWTError

from shared.events import ActorType
from spine.errors import Misconfigured, NotAuthenticated
from spine.identity.issuer import ALGORITHMS, IssuerKeys
from spine.identity.principals import Principal, Role, is_person, is_tenant
from spine.settings import Settings

LEEWAY_SECONDS = 30  # two machines' clocks
_LONGEST_TOKEN = 16 * 1024
_TYPES = (None, "JWT", "jwt", "at+jwt", "application/at+jwt")  # not a logout token, not a DPoP proof (RFC 9068 §4)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcConfig:
    """Whom to believe, and where its claims say what. `roles` is theirs → ours."""

    issuer: str
    audience: str
    jwks_url: str | None = None
    tenant_claim: str = "tenant"
    principal_claim: str = "sub"
    role_claim: str = "roles"
    roles: Mapping[str, Role]

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        """None where no issuer is named. Raises Misconfigured."""
        if settings.oidc_issuer is None:
            return None
        return cls(
            issuer=settings.oidc_issuer,
            audience=settings.require("oidc_audience"),
            jwks_url=settings.oidc_jwks_url,
            tenant_claim=settings.oidc_tenant_claim,
            principal_claim=settings.oidc_principal_claim,
            role_claim=settings.oidc_role_claim,
            roles=roles_of(settings.oidc_roles),
        )


class Oidc:
    """Verifies tokens. Thread-safe; fetches keys at its first use, so a process starts while the issuer is away."""

    def __init__(self, config: OidcConfig, keys: IssuerKeys | None = None) -> None:
        self.config = config
        self.keys = keys or IssuerKeys(config.issuer, config.jwks_url)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self | None:
        config = OidcConfig.from_settings(settings)
        return None if config is None else cls(config)

    def principal(self, token: str) -> Principal:
        """Who presents this token. Raises NotAuthenticated, saying which check failed, and ProviderUnavailable without keys."""
        return self.principal_in(self.claims(token))

    def claims(self, token: str, *, audience: str | None = None) -> Mapping[str, Any]:
        """The claims of a token whose signature, algorithm, issuer, audience and times hold. Raises as `principal`."""
        if len(token) > _LONGEST_TOKEN:
            raise NotAuthenticated("the bearer token is longer than any token should be")
        try:
            header = jwt.get_unverified_header(token)
        except PyJWTError as error:
            raise NotAuthenticated("what was presented is neither an API key nor a JWT") from error
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or header.get("typ") not in _TYPES or not isinstance(key_id, str | None):
            raise NotAuthenticated(f"the token's header is not one that is taken: signed by one of {', '.join(ALGORITHMS)}")
        key = self.keys.key(key_id, algorithm)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=audience or self.config.audience,
                issuer=self.config.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except PyJWTError as error:
            raise NotAuthenticated(f"the token is refused: {_why(error)}; get a new one from {self.config.issuer!r}") from error
        return claims

    def principal_in(self, claims: Mapping[str, Any]) -> Principal:
        """The principal that verified claims name. Raises NotAuthenticated for a claim that is missing or means nothing here."""
        config = self.config
        tenant, person = _at(claims, config.tenant_claim), _at(claims, config.principal_claim)
        if not isinstance(tenant, str) or not is_tenant(tenant):
            raise NotAuthenticated(f"the token names no tenant in claim {config.tenant_claim!r}: without one nobody comes in")
        if not isinstance(person, str) or not is_person(person):
            raise NotAuthenticated(
                f"the token's claim {config.principal_claim!r} is no name of letters, digits, '.', '_', '-', '/': "
                "set SPINE_OIDC_PRINCIPAL_CLAIM to one that is; addresses stay out of records"
            )
        named = _at(claims, config.role_claim)
        theirs = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        held = [config.roles[one] for one in theirs if isinstance(one, str) and one in config.roles]
        if not held:
            raise NotAuthenticated(
                f"the token's claim {config.role_claim!r} names no role of this installation: ask whoever runs the issuer"
            )
        actor = ActorType.EXECUTOR_SYSTEM if _is_program(claims) else ActorType.HUMAN
        return Principal(tenant_id=tenant, id=person, role=max(held, key=list(Role).index), actor_type=actor)


def roles_of(text: str) -> Mapping[str, Role]:
    """`spine-admins=admin, sales=approver` as a mapping; empty: our own words. Raises Misconfigured."""
    if not text.strip():
        return {role.value: role for role in Role}
    found: dict[str, Role] = {}
    for pair in text.split(","):
        theirs, _, ours = (part.strip() for part in pair.rpartition("="))
        if not theirs or ours not in list(Role):
            raise Misconfigured(f"SPINE_OIDC_ROLES: {pair.strip()!r} is not <their word>=<one of {', '.join(Role)}>")
        found[theirs] = Role(ours)
    return found


def _is_program(claims: Mapping[str, Any]) -> bool:
    """No person behind it, or somebody else in a person's name: neither decides approvals.

    Client credentials as issuers mark them: the client is its own subject (RFC 9068 §2.2), `gty` and the subject's ending (Auth0),
    `idtyp` (Entra), the service account's name (Keycloak). `act` is delegation (RFC 8693 §4.1).
    """
    subject = str(claims["sub"])
    return (
        "act" in claims
        or subject in (claims.get("client_id"), claims.get("azp"))
        or subject.endswith("@clients")
        or claims.get("gty") == "client-credentials"
        or claims.get("idtyp") == "app"
        or str(claims.get("preferred_username", "")).startswith("service-account-")
    )


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, and if there is none of that name, by its path: `realm_access.roles`."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _why(error: PyJWTError) -> str:
    match error:
        case ExpiredSignatureError():
            return "it has expired"
        case ImmatureSignatureError():
            return "it is not valid yet"
        case InvalidAudienceError():
            return "it is made out to another audience"
        case InvalidIssuerError():
            return "it is from another issuer"
    return "its signature or a claim of it does not hold"
