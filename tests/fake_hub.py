"""A Hugging Face hub on localhost that serves one folder as one repository: as much of its HTTP API as a download asks for."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"


@contextmanager
def serve_hub(folder: Path, repository: str) -> Iterator[tuple[str, list[str]]]:
    """Yields the hub's address and the list of files fetched from it, which grows as they are."""
    fetched: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(folder, repository, fetched))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", fetched
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(folder: Path, repository: str, fetched: list[str]) -> type[BaseHTTPRequestHandler]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}

    tree = [{"type": "file", "path": name, "size": file.stat().st_size, "oid": name} for name, file in files.items()]
    model = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, *_args: object) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            path = urlsplit(self.path).path
            if path.startswith(f"/api/models/{repository}"):
                self._send(json.dumps(tree if "/tree/" in path else model).encode(), with_body=with_body)
            elif (name := path.removeprefix(f"/{repository}/resolve/{COMMIT}/")) in files:
                if with_body:
                    fetched.append(name)
                self._send(files[name].read_bytes(), with_body=with_body)
            else:
                self.send_error(404)

        def _send(self, body: bytes, *, with_body: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    return Handler
