"""Who changes the corpus while services are killed: somebody who uploads and notifies, and somebody who works in the folder."""

import hashlib
import json
import threading
import urllib.request
from pathlib import Path

from benchmarks.kills.ground import Ground, picture
from ml_api.records import image_id
from tests.e2e.server_process import Server
from tests.waiting import wait_until

PATIENCE_S = 180.0
"""Until the index follows."""


class Sent:
    """What was sent, and what was acknowledged."""

    def __init__(self, notify: Path | None = None) -> None:
        """With a folder, a third of the images is put there, and notified."""
        self._number = 10_000
        self._notify = notify
        self.acknowledged: dict[str, str] = {}
        self.tried: set[str] = set()

    def send(self, service: Server, over: threading.Event | None = None) -> None:
        """Until the service is gone, or it is over."""
        while over is None or not over.is_set():
            keys = [f"{self._number + step}.png" for step in range(1 + 3 * (self._number % 2))]
            self._number += len(keys)
            self.tried |= set(keys)
            images = {key: picture(int(key[:-4])) for key in keys}
            try:
                status = self._send(service, images)
            except OSError:
                return
            if status in {200, 202}:
                self.acknowledged |= {key: hashlib.sha256(data).hexdigest() for key, data in images.items()}

    def check(self, service: Server, corpus: Path) -> None:
        wait_until(lambda: set(self.acknowledged) <= set(listed(service)), PATIENCE_S, "something acknowledged is not found")
        found, there = listed(service), {path.name for path in corpus.rglob("*.png")}
        assert set(found) <= there <= self.tried, "the index and the folder have what was sent, and nothing else"
        for key, known in self.acknowledged.items():
            assert hashlib.sha256((corpus / key).read_bytes()).hexdigest() == known == found[key], f"{key} has other bytes"

    def _send(self, service: Server, images: dict[str, bytes]) -> int:
        if self._notify is not None and self._number % 3 == 0:
            return _notified(service, self._notify, images)
        return _put(service, images) if len(images) == 1 else _post(service, images)


class Work:
    """Somebody works in a folder: files come, change, move and go, and some images get a tag over the API, which is to stay."""

    def __init__(self, ground: Ground, corpus: Path) -> None:
        self._chance = ground.chance
        self._corpus = corpus
        self._number = 0
        self._tags: dict[str, str] = {}
        """By key, what was acknowledged."""
        self._changed: set[str] = set()
        self._moved: set[str] = set()
        """Since the index followed the last time. Of what has moved and changed nobody can know that it is the same image."""
        self.over = threading.Event()

    def go_on(self, service: Server) -> None:
        while not self.over.wait(self._chance.uniform(0, 0.03)):
            keys = sorted(path.name for path in self._corpus.iterdir())
            match self._chance.choices(["come", "change", "move", "go", "tag"], [6, 1, 2, 1, 3])[0]:
                case _ if len(keys) < 10:
                    self._come()
                case "come":
                    self._come()
                case "change":
                    self._change(self._chance.choice(keys))
                case "move":
                    self._move(self._chance.choice(keys))
                case "go":
                    self._go(self._chance.choice(keys))
                case "tag":
                    self._tag(service, self._chance.choice(keys))

    def check(self, service: Server) -> None:
        def is_followed() -> bool:
            there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self._corpus.iterdir()}
            return listed(service) == there

        wait_until(is_followed, PATIENCE_S, "the index does not follow the folder")
        self._changed.clear()
        self._moved.clear()
        for key, tag in self._tags.items():
            found = service.json(f"/v1/images/{image_id(key)}")["metadata"]
            assert found.get("tag") == tag, f"{key} was tagged {tag}, and has {found}"

    def _come(self) -> None:
        self._number += 1
        (self._corpus / f"{self._number:05}.png").write_bytes(picture(self._number))

    def _change(self, key: str) -> None:
        self._number += 1
        (self._corpus / key).write_bytes(picture(self._number))
        self._changed.add(key)
        if key in self._moved:
            self._tags.pop(key, None)

    def _move(self, key: str) -> None:
        self._number += 1
        new = f"{self._number:05}.png"
        (self._corpus / key).rename(self._corpus / new)
        tag = self._tags.pop(key, None)
        self._moved.add(new)
        if tag and key not in self._changed:
            self._tags[new] = tag

    def _go(self, key: str) -> None:
        (self._corpus / key).unlink()
        self._tags.pop(key, None)

    def _tag(self, service: Server, key: str) -> None:
        self._number += 1
        tag = f"t{self._number}"
        body, kind = json.dumps({"metadata": {"tag": tag}}).encode(), {"Content-Type": "application/merge-patch+json"}
        place = f"{service.url}/v1/images/{image_id(key)}"
        request = urllib.request.Request(place, body, kind, method="PATCH")  # noqa: S310 - http
        try:
            if service.open(request)[0] == 200:
                self._tags[key] = tag
                self._moved.discard(key)  # the index knows it
        except OSError:  # it is down; whether it took it is unknown
            self._tags.pop(key, None)


def listed(service: Server) -> dict[str, str]:
    """Of each key that is indexed, the digest; empty while the service cannot say."""
    found: list[tuple[str, str]] = []
    path: str | None = "/v1/images?limit=1000"
    while path:
        status, _, body = service.get(path)
        if status != 200:
            return {}
        page = json.loads(body)
        found += [(image["key"], image["digest"]) for image in page["images"]]
        path = f"/v1/images?limit=1000&cursor={page['next']}" if page["next"] else None
    assert len(found) == len(dict(found)), "an image is listed twice"
    return dict(found)


def _notified(service: Server, corpus: Path, images: dict[str, bytes]) -> int:
    for key, data in images.items():
        (corpus / key).write_bytes(data)
    records = [{"s3": {"bucket": {"name": str(corpus)}, "object": {"key": key}}} for key in images]
    return int(service.post("/v1/events", json.dumps({"Records": records}).encode(), "application/json")[0])


def _put(service: Server, images: dict[str, bytes]) -> int:
    [(key, data)] = images.items()
    place = f"{service.url}/v1/images/by-key/{key}"
    request = urllib.request.Request(place, data, {"Content-Type": "image/png"}, method="PUT")  # noqa: S310 - http
    return int(service.open(request)[0])


def _post(service: Server, images: dict[str, bytes]) -> int:
    line = b"--kills\r\n"
    body = b"".join(
        line + f'Content-Disposition: form-data; name="image"; filename="{key}"\r\n\r\n'.encode() + data + b"\r\n"
        for key, data in images.items()
    )
    status, _, answer = service.post("/v1/images", body + b"--kills--\r\n", "multipart/form-data; boundary=kills")
    return int(status) if all(one.get("image") for one in json.loads(answer).get("results", ())) else 0
