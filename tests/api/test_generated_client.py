"""A client that openapi-python-client makes from our document: made without a warning, and of use."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from tests.api.stand import picture

GENERATOR = Path(sys.prefix) / "client-generator"
USE = """
import sys
from io import BytesIO
from pathlib import Path

from image_search import Client
from image_search.api.images import get_image, get_image_thumbnail
from image_search.api.search import find_similar, search_by_image, search_by_text
from image_search.api.service import get_readiness
from image_search.models import ImageQuery, Problem, SearchByImageFilesBody
from image_search.types import File

url, image = sys.argv[1:]
with Client(base_url=url) as client:
    assert get_readiness.sync(client=client).ready
    [first] = search_by_text.sync(client=client, q="something red", limit=1).hits
    assert first.key == "red.png", first
    assert get_image.sync(first.id, client=client).key == "red.png"
    assert get_image_thumbnail.sync(first.id, client=client).payload.read().startswith(b"RIFF")
    assert len(find_similar.sync(first.id, client=client).hits) == 3
    body = SearchByImageFilesBody(image=File(BytesIO(Path(image).read_bytes()), "mine.png", "image/png"))
    assert search_by_image.sync(client=client, body=body, limit=1).hits[0].key == "sub/green.png"
    raw = File(BytesIO(Path(image).read_bytes()))
    assert search_by_image.sync(client=client, body=raw, limit=1).hits[0].key == "sub/green.png"
    problem = search_by_image.sync(client=client, body=ImageQuery(image="https://example.org/x.png"))
    assert isinstance(problem, Problem) and problem.code == "invalid-base64", problem
print("used")
"""


def run(folder, *arguments):
    path = os.pathsep.join(map(str, (GENERATOR, folder)))
    tools = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # it calls ruff
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path, "PATH": tools},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def address(shared_stand):
    server = make_server("127.0.0.1", 0, shared_stand.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_client_is_made_without_a_warning_and_works(shared_stand, address, tmp_path):
    assert GENERATOR.is_dir(), "make test installs openapi-python-client into .venv/client-generator"
    (tmp_path / "openapi.json").write_text(shared_stand.client.get("/openapi.json").get_data(as_text=True))
    made = run(
        tmp_path,
        *("-m", "openapi_python_client", "generate", "--path", "openapi.json", "--output-path", "image_search", "--meta", "none"),
        "--fail-on-warning",
    )
    assert made.returncode == 0, made.stdout + made.stderr
    assert "WARNING" not in made.stdout + made.stderr
    (tmp_path / "mine.png").write_bytes(picture((35, 170, 70)))
    used = run(tmp_path, "-W", "error", "-c", USE, address, tmp_path / "mine.png")
    assert used.stdout == "used\n", used.stderr
