"""Authorizes requests: by the scope of the route, the API key or session of the request, and its origin if a page of another site
sent it.

Documented routes declare their scope in `openapi.operation`; all others are public and listed here by name.
"""

import logging
from collections.abc import Callable
from typing import Final
from wsgiref.types import WSGIEnvironment

from flask import Flask, Request, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from ml_api.access import PUBLIC, Access, ApiKey, Scope
from ml_api.api.observe import note
from ml_api.browsers import check_origin, is_foreign
from ml_api.errors import ForeignOrigin, ScopeMissing, Unauthorized
from ml_api.logs.throttle import LogThrottle

SCOPE: Final = "scope"
"""The attribute of a view that holds its scope."""
PUBLIC_ENDPOINTS: Final = frozenset(
    {
        *("web.page", "web.static", "web.docs"),
        *("session.show", "session.sign_in", "session.sign_out"),
        *("flasgger.apidocs", "flasgger.apispec", "flasgger.static", "flasgger.oauth_redirect", "flasgger.<lambda>"),
    }
)
"""Routes for browsers: the page and Swagger UI, which show no images before the visitor has signed in."""
HEADER: Final = "X-API-Key"
COOKIE: Final = "ml_api_session"

_log = logging.getLogger(__name__)


def register(app: Flask, access: Access | None, shared_with: frozenset[str]) -> Callable[[WSGIEnvironment], None]:
    """Check every request. Without `access` no keys are required, and only pages of other sites are refused, unless their origin is
    in `shared_with`.

    Returns a function that checks a request's head in the same way, before its body is read: it raises AccessDenied, or
    DatabaseUnavailable.
    """
    refusals = LogThrottle(_log)

    def check(sent: Request, rule: Rule | None) -> ApiKey | None:
        try:
            check_origin(sent.environ, shared_with)
            scope = scope_of(app, rule.endpoint) if rule is not None else PUBLIC
            if access is None or scope is PUBLIC or sent.method == "OPTIONS":  # the OpenAPI document shows the methods, too
                return None
            return _caller(sent, access, scope)
        except (ForeignOrigin, ScopeMissing, Unauthorized) as refused:
            if (
                not isinstance(refused, Unauthorized) or refused.slug != Unauthorized.code
            ):  # every visitor comes without a key at first
                refusals.log(refused.slug, f"refused {sent.remote_addr}: {refused.detail}", logging.WARNING)
            raise

    @app.before_request
    def authorize() -> None:
        if (key := check(request, request.url_rule)) is not None:
            note({"user.id": key.id})

    def check_head(environ: WSGIEnvironment) -> None:
        sent = app.request_class(environ)
        adapter = app.create_url_adapter(sent)
        assert adapter is not None  # there is one for every request
        try:
            rule, _ = adapter.match(return_rule=True)
        except HTTPException:
            rule = None
        check(sent, rule)

    return check_head


def scope_of(app: Flask, endpoint: str) -> Scope | None:
    """The scope of a route; ADMIN for one that declares none, which a test forbids."""
    if endpoint in PUBLIC_ENDPOINTS:
        return PUBLIC
    scope: Scope | None = getattr(app.view_functions[endpoint], SCOPE, Scope.ADMIN)
    return scope


def _caller(sent: Request, access: Access, scope: Scope) -> ApiKey:
    """The API key of a request, or of its session. Raises Unauthorized, ScopeMissing, DatabaseUnavailable."""
    if secret := _presented(sent):
        key = access.key_of(secret)
    elif (token := sent.cookies.get(COOKIE)) and not is_foreign(sent.environ):  # SameSite lets ports and sister domains through
        key = access.holder_of(token)
    else:
        raise Unauthorized(f"this service asks for an API key: send it as `Authorization: Bearer KEY` or as `{HEADER}: KEY`")
    if not scope.is_granted_by(key.scopes):
        held = ", ".join(sorted(key.scopes))
        raise ScopeMissing(f"this needs the scope {scope}; the API key {key.id} ({key.name}) has {held}", scope=scope)
    return key


def _presented(sent: Request) -> str:
    """The API key in a header, or "". Other schemes than Bearer are for a proxy in front, whose passwords browsers send
    everywhere."""
    scheme, _, credentials = sent.headers.get("Authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else sent.headers.get(HEADER, "").strip()
