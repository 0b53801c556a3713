"""Signing in on the page with an API key and out again, and what the visitor may do. Scripts cannot read the browser's token."""

from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field

from ml_api.access import Access, Scope
from ml_api.api import services
from ml_api.api.authorization import COOKIE
from ml_api.api.parsing import json_body
from ml_api.errors import NotFound, Unauthorized

blueprint = Blueprint("session", __name__, url_prefix="/session")

BODY_BYTES = 4096


class SignIn(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[str, Field(min_length=1, max_length=200)]


@blueprint.get("")
def show() -> Response:
    """Whether the visitor may search, start syncs, and change images here: anybody may, where no keys are asked for."""
    access = services().access
    held = frozenset({Scope.ADMIN}) if access is None else _held(access)
    may_sync = Scope.WRITE.is_granted_by(held)
    return jsonify(
        search=Scope.SEARCH.is_granted_by(held),
        write=may_sync and services().corpus.writable,
        syncs=may_sync,
        signed_in=access is not None and bool(held),
    )


@blueprint.post("")
def sign_in() -> Response:
    session = _access().sign_in(json_body(SignIn, max_bytes=BODY_BYTES).key.strip())
    response = Response(status=204)
    _set(response, session.token, expires=session.expires_at)
    return response


@blueprint.delete("")
def sign_out() -> Response:
    access = _access()
    if token := request.cookies.get(COOKIE):
        access.sign_out(token)
    response = Response(status=204)
    _set(response, "", expires=0)
    return response


def _set(response: Response, token: str, *, expires: float) -> None:
    """Other sites' pages never send it (Strict), and behind https it never travels without."""
    path = request.root_path or "/"
    response.set_cookie(COOKIE, token, expires=expires, path=path, httponly=True, samesite="Strict", secure=request.is_secure)


def _held(access: Access) -> frozenset[Scope]:
    try:
        return access.holder_of(request.cookies.get(COOKIE, "")).scopes
    except Unauthorized:
        return frozenset()


def _access() -> Access:
    access = services().access
    if access is None:
        raise NotFound("this service asks for no API keys")
    return access
