"""A Hugging Face hub on localhost that serves one folder as one repository: as much of its HTTP API as a download asks for."""

import hashlib
import re
from pathlib import Path

from pytest_httpserver import HTTPServer

COMMIT = "c0ffee" * 6 + "c0ff"


class FakeHub(HTTPServer):
    """Use as a context."""

    def __init__(self, folder: Path, repository: str) -> None:
        super().__init__(host="127.0.0.1", threaded=True)
        self._files = f"/{repository}/resolve/{COMMIT}/"
        files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        tree = [{"type": "file", "path": name, "size": file.stat().st_size, "oid": name} for name, file in files.items()]
        model = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        self.expect_request(re.compile(f"/api/models/{repository}/tree/")).respond_with_json(tree)
        self.expect_request(re.compile(f"/api/models/{repository}(/|$)")).respond_with_json(model)
        for name, file in files.items():
            content = file.read_bytes()
            headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            self.expect_request(self._files + name).respond_with_data(content, headers=headers)
        self.expect_request(re.compile("")).respond_with_data("no such thing", status=404)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def fetched(self) -> list[str]:
        """The files whose content was asked for."""
        gets = [request.path for request, _ in self.log if request.method == "GET"]
        return [path.removeprefix(self._files) for path in gets if path.startswith(self._files)]
