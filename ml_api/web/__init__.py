"""The search page and the frame of Swagger UI: plain HTML, CSS and JavaScript over the public API."""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from ml_api.api import services
from ml_api.api.examples import DRAWN_ID
from ml_api.api.problems import MEDIA_TYPE as PROBLEM
from ml_api.deadline import Deadline
from ml_api.duplicates import UPLOADS_FOLDER
from ml_api.errors import MlApiError
from ml_api.settings import environment_name

blueprint = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

DEMO_MODELS = "demo model"
"""Prefix of the names of models trained by `demo`."""
EXAMPLES = (
    "two dogs playing in the snow",
    "a train at night",
    "a black cat",
    "a house in the desert",
    "red mushrooms",
    "a boat at sea",
)
"""Suggested searches over a corpus drawn by `demo`, which has relevant pictures for each."""
LOOK_S = 1.0
"""Longest wait for the store to tell whether it holds the demo corpus; the page works without examples."""

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'",
}
PAGES = {"web.page", "flasgger.apidocs"}
SHOWN_WHEN_FULL = {"web.page", "web.static", "web.docs", "flasgger.apidocs", "flasgger.apispec", "flasgger.static"}
"""Endpoints of what a browser needs to show the pages. They are answered although searches are refused for want of capacity."""
FOR_PROGRAMS = "/v1/"
"""What lies below is answered as JSON, to browsers too."""


@blueprint.get("/")
def page() -> Response:
    embedder, limits = services().engine.embedder, services().limits
    is_drawn, asks_for_keys = _is_drawn(), services().access is not None
    return make_response(
        render_template(
            "index.html",
            model=embedder.model.name,
            examples=EXAMPLES if is_drawn else (),
            model_setting=environment_name("model"),
            is_out_of_place=is_drawn is False and embedder.model.name.startswith(DEMO_MODELS),
            asks_for_keys=asks_for_keys,
            corpus="" if asks_for_keys else services().corpus.location,  # not told to who has not signed in
            corpus_setting=environment_name("corpus"),
            max_bytes=limits.max_bytes,
            model_edge=services().engine.preprocessor.fit.edge_px,
            uploads_folder=UPLOADS_FOLDER,
        )
    )


def _is_drawn() -> bool | None:
    """Whether the images are the demo's, by an image that every demo corpus has; None if the store does not answer."""
    try:
        found = services().engine.store.get([DRAWN_ID], Deadline.within(LOOK_S)).get(DRAWN_ID)
    except MlApiError:
        return None
    return found is not None and "facts" in found.metadata


@blueprint.get("/docs")
def docs() -> BaseResponse:
    """Redirects the usual path to Swagger UI."""
    return redirect(url_for("flasgger.apidocs"))


@blueprint.after_app_request
def protect(response: Response) -> Response:
    """Pages run their own scripts only. Registered for the whole application, because flasgger serves Swagger UI's page."""
    if response.status_code == 404 and not request.path.startswith(FOR_PROGRAMS):
        response.vary.add("Accept")
        if request.accept_mimetypes.best_match([PROBLEM, "text/html"], default=PROBLEM) == "text/html":
            response.set_data(render_template("nothing.html"))
            response.mimetype = "text/html"
    if request.endpoint in PAGES or response.mimetype == "text/html":
        response.headers.update(HEADERS)
        response.cache_control.no_cache = True
    return response
