"""What the API's tests share: the application over stand-ins, a small corpus, the one way to check a problem."""

import io
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from PIL import Image, ImageDraw
from sqlalchemy import text

from ml_api.app import create_app
from ml_api.database.engine import POOL
from ml_api.images import ImageLimits
from ml_api.records import image_id
from ml_api.services import Services
from ml_api.settings import load_settings
from tests.stand_ins import stand_in_services

COLOURS = {"red.png": (220, 30, 30), "sub/green.png": (30, 180, 60), "blue.png": (40, 60, 220), "pink.png": (250, 150, 190)}
MAX_BYTES = 200_000
BOUNDARY = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY.decode()}"
LIMITS = ImageLimits(MAX_BYTES, 1_000_000, 20)


def picture(colour=(200, 40, 40), size=(64, 48), kind="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def drawing(kind="PNG", size=(96, 72)):
    """A picture with structure: pictures of one colour have no perceptual hash to compare."""
    file = io.BytesIO()
    image = Image.new("RGB", size, (220, 30, 30))
    pen = ImageDraw.Draw(image)
    pen.ellipse((8, 8, 50, 40), fill=(250, 250, 210))
    pen.rectangle((56, 30, 90, 66), fill=(20, 30, 60))
    image.save(file, kind)
    return file.getvalue()


def form(data, before=b""):
    """A multipart body as browsers and curl write it. werkzeug's test client forgets a line end before an empty file."""
    head = b'Content-Disposition: form-data; name="image"; filename="IMG_0001.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    return before + b"--" + BOUNDARY + b"\r\n" + head + data + b"\r\n--" + BOUNDARY + b"--\r\n"


def assert_problem(response, status, code):
    """An answer to an error: its status, its media type, its slug, and the request id that is also in the header.

    `error` is what OpenAI's clients read, on their routes.
    """
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    body = response.get_json()
    assert set(body) - {"error"} == {"type", "title", "status", "detail", "code", "request_id"}
    assert body["status"] == status
    assert body["code"] == code
    assert body["detail"]
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body


@dataclass
class Stand:
    """One application with its parts in reach."""

    app: Flask
    client: FlaskClient
    services: Services
    root: Path

    def id(self, key):
        return image_id(key)


def fill_disk(database, pages=1):
    """Let SQLite take no more pages than it has, as on a full disk; with many `pages` there is room again."""
    with ExitStack() as every:
        for _ in range(POOL):  # the bound is a connection's
            every.enter_context(database.read()).execute(text(f"PRAGMA max_page_count={pages}"))


def write_corpus(root):
    for key, colour in COLOURS.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(picture(colour))
    (root / "metadata.jsonl").write_text('{"key": "red.png", "caption": "<b>red</b>"}\n')
    return root


def build_stand(root, thumbnail_dir, limits=LIMITS, allowed_hosts="", root_path="", **replaced):
    """The application over stand-ins; keyword arguments replace parts of its services. Close its services."""
    services = stand_in_services(root, thumbnail_dir, limits, **replaced)
    limit = str(limits.max_bytes)
    settings = load_settings(
        {"ML_API_MAX_UPLOAD_BYTES": limit, "ML_API_ALLOWED_HOSTS": allowed_hosts, "ML_API_ROOT_PATH": root_path}
    )
    app = create_app(settings, services)
    return Stand(app, app.test_client(), services, root)
