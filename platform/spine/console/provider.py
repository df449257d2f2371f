"""Logging in through the company's identity provider: there, and back with a code (`spine.identity.login`).

What binds the answer to this browser (state, nonce, the PKCE verifier) travels in a cookie of ten minutes that only these two pages get
and no script sees; it is forgotten whatever comes back. Such a session keeps the role that the provider named until it ends, at most
twelve hours: what is taken away there is taken away here by then.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from spine import audit
from spine.audit import Actor
from spine.console.entrance import login_page
from spine.console.forms import local
from spine.console.session import Visiting, is_secure, keep, open_session, redirect
from spine.console.words import say
from spine.errors import NotAuthenticated, NotFound, ProviderError
from spine.gateway.auth import services_of
from spine.identity.login import LoginStarted, build_authorization_url, exchange_code, is_offered

router = APIRouter()

COOKIE = "spine_login"
_PATH = "/console/login"
_MINUTES = 10
AWAY = say("The company's identity provider does not answer. Try again in a moment, or use a key.")
REFUSED = say("The company's identity provider did not let you in here. Try again, or ask whoever runs it.")


@router.get("/login/provider")
def get_provider(request: Request, visit: Visiting, next: Annotated[str, Query()] = "") -> Response:  # noqa: A002 - its public name
    """Off to the provider. Raises NotFound where none is configured."""
    settings, after = visit.services.settings, local(next)
    if not is_offered(settings):
        raise NotFound("no identity provider is configured here: SPINE_OIDC_ISSUER and SPINE_OIDC_CLIENT_ID name one")
    try:
        started = build_authorization_url(settings, redirect_uri=_way_back(request))
    except ProviderError:
        return login_page(request, after=after, problem=AWAY, status=503)
    response = RedirectResponse(started.url, status_code=303)
    kept = {"state": started.state, "nonce": started.nonce, "verifier": started.verifier, "next": after}
    value = urlsafe_b64encode(json.dumps(kept).encode()).decode()
    response.set_cookie(COOKIE, value, max_age=_MINUTES * 60, path=_PATH, httponly=True, samesite="lax", secure=is_secure(request))
    return response


@router.get("/login/back")
def get_back(request: Request, visit: Visiting, code: str = "", state: str = "") -> Response:
    """Back with a code, or without one: then nobody is logged in."""
    services = visit.services
    try:
        started, after = _begun(request.cookies.get(COOKIE, ""))
        if services.oidc is None or not code:
            raise NotAuthenticated("the identity provider sent no code")
        principal = exchange_code(
            services.settings, services.oidc, started=started, code=code, state=state, redirect_uri=_way_back(request)
        )
    except NotAuthenticated:
        response = login_page(request, after="/console/", problem=REFUSED, status=401)
    except ProviderError:
        response = login_page(request, after="/console/", problem=AWAY, status=503)
    else:
        with services.database.tenant(principal.tenant_id) as conn:
            cookie = open_session(conn, principal, key_id=None)
            audit.record(
                conn,
                tenant_id=principal.tenant_id,
                actor=Actor(principal.actor_type, principal.id),
                action="console.logged_in",
                subject_type="principal",
                subject_id=principal.id,
                now=services.clock.now(),
                detail={"by": "oidc"},
            )
        response = redirect(after)
        keep(response, request, cookie)
    response.delete_cookie(COOKIE, path=_PATH, httponly=True, samesite="lax", secure=is_secure(request))
    return response


def _begun(cookie: str) -> tuple[LoginStarted, str]:
    """What this browser began. Raises NotAuthenticated when it began nothing."""
    try:
        kept = json.loads(urlsafe_b64decode(cookie.encode()))
        started = LoginStarted(url="", state=kept["state"], nonce=kept["nonce"], verifier=kept["verifier"])
        return started, local(kept["next"])
    except (ValueError, KeyError, TypeError) as error:
        raise NotAuthenticated("this browser began no login here, or too long ago: begin again") from error


def _way_back(request: Request) -> str:
    """One address for both pages, and the one that is registered with the provider: the gateway's own where it is configured."""
    root = services_of(request).settings.gateway_url or f"{request.url.scheme}://{request.url.netloc}"
    return f"{root.rstrip('/')}{_PATH}/back"
