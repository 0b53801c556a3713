"""The pages for people: the search page and the frame of Swagger UI. Plain HTML, CSS and JavaScript over the public API."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from ml_api.api.state import services

blueprint = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

DEMO_MODELS = "demo model"
"""How the names of models trained by `demo` begin."""
EXAMPLES = (
    "two dogs playing in the snow",
    "a red car in the city",
    "a boat under the stars",
    "balloons above a house",
    "a black cat beside a chair",
    "yellow flowers in a meadow",
)
"""Worth asking a corpus drawn by `demo`; of other images nothing is known."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
}
PAGES = {"web.page", "flasgger.apidocs"}


@blueprint.get("/")
def page() -> Response:
    embedder, limits = services().embedder, services().limits
    return make_response(
        render_template(
            "index.html",
            model=embedder.model.name,
            examples=EXAMPLES if embedder.model.name.startswith(DEMO_MODELS) else (),
            max_bytes=limits.max_bytes,
            model_edge=embedder.image_edge_px,
        )
    )


@blueprint.get("/docs")
def docs() -> BaseResponse:
    """Where other services have it."""
    return redirect(url_for("flasgger.apidocs"))


@blueprint.get("/openapi.json")
def document() -> BaseResponse:
    """Where other services have it."""
    return redirect(url_for("flasgger.apispec"))


@blueprint.after_app_request
def protect(response: Response) -> Response:
    """Pages run their own scripts only. On every request of the application, as Swagger UI's page is flasgger's."""
    if request.endpoint in PAGES:
        response.headers.update(HEADERS)
        response.cache_control.no_cache = True
    return response
