"""kill -9 at random moments: of an extraction, an import, a migration and a service that takes uploads.

`python -m benchmarks.kills [--count 20] [--seed 1] [extract] [extract-numpy] [import] [migrate] [switch] [upload]`

After each kill the command is run again to its end (or the service is started again), and what is there then is compared with what
an uninterrupted run leaves: every image once, with its vector, nothing else, and of uploads every one that was acknowledged. The
first difference ends the program. tests/e2e/test_kills.py runs a few of each.
"""

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.killing import Ground, assert_same, ended, kill, killed, of_file, of_store, picture
from ml_api.embedding.pretrained import resolve
from ml_api.metrics import Metrics
from ml_api.services.parts import milvus_store
from ml_api.settings import Settings
from tests.e2e.server_process import MODEL, Server, environment
from tests.tiny_clip import build_tiny_clip


def extract(ground: Ground, count: int, name: str) -> int:
    corpus, target, within_s = ground.corpus(), ground.folder / name, 1.5
    settings = {"model": MODEL, "data_dir": ground.fresh("extract-data")}
    whole = ground.folder / "whole.parquet"
    ended("extract", whole, corpus, **settings)
    wanted, running = of_file(whole), 0
    assert len(wanted) == ground.images
    parts = ground.folder / f"{name}.parts"
    for _ in range(count):
        shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
        for _ in range(2):  # the second hits an extraction that goes on
            running += killed(["extract", target, corpus], settings, (parts / "state.json").exists, ground.chance, within_s)
        if not target.exists():
            ended("extract", target, corpus, **settings)
        assert_same(of_file(target), wanted)
    return running


def vectors_file(ground: Ground) -> Path:
    path = ground.folder / "vectors.jsonl"
    if not path.exists():
        dim, noise = resolve(str(MODEL)).dim, np.random.default_rng(1)
        with path.open("w") as file:
            for number in range(ground.rows):
                vector = noise.standard_normal(dim)
                vector /= np.linalg.norm(vector)
                file.write(json.dumps({"key": f"{number:06}.jpg", "vector": vector.tolist()}) + "\n")
    return path


def import_(ground: Ground, count: int) -> int:
    file, corpus, running = vectors_file(ground), ground.corpus(), 0
    wanted, command = of_file(file), ["import", file, "--model-id", resolve(str(MODEL)).model_id]
    for _ in range(count):
        data = ground.fresh("import-data")
        settings = {"model": MODEL, "data_dir": data}
        running += killed(command, settings, (data / "milvus.db").exists, ground.chance, 4.0)
        ended(*command, **settings)
        assert_same(of_store(data, corpus), wanted)
    return running


def indexed(ground: Ground) -> Path:
    data = ground.folder / "indexed"
    if not data.exists():
        data.mkdir()
        ended("sync", model=MODEL, corpus=ground.corpus(), data_dir=data)
    return data


def migrate(ground: Ground, count: int) -> int:
    """Without a service."""
    corpus, base, new, running = ground.corpus(), indexed(ground), tiny(ground), 0
    for _ in range(count):
        data = ground.fresh("migrate-data")
        shutil.copytree(base, data, dirs_exist_ok=True)
        settings = {"model": new, "corpus": corpus, "data_dir": data}
        begun = lambda data=data: len(list((data / "milvus.db" / "collections").glob("*"))) > 1  # noqa: E731
        running += killed(["migrate"], settings, begun, ground.chance, 4.0)
        assert len(of_store(data, corpus)) == ground.images  # what is in use is whole at any moment
        ended("migrate", **settings)
        assert len(of_store(data, corpus)) == ground.images
        with closing(milvus_store(Settings(corpus=corpus, model=str(new), data_dir=data), Metrics())) as store:
            assert store.open_current().model_id.startswith("tiny")
    return running


def switch(ground: Ground, count: int) -> int:
    """Of a service that changes its model."""
    corpus, base, new, running = ground.corpus(), indexed(ground), tiny(ground), 0
    for _ in range(count):
        data = ground.fresh("switch-data")
        shutil.copytree(base, data, dirs_exist_ok=True)
        service = Server(data, corpus)
        service.start()
        command = subprocess.Popen(
            [sys.executable, "-m", "ml_api", "migrate"],
            env=environment(**service.settings | {"model": new}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while command.poll() is None and service.json("/v1/sync")["active"] is None:
            time.sleep(0.01)
        time.sleep(ground.chance.uniform(0, 8.0))
        running += command.poll() is None
        kill(service)
        command.wait(60)
        with service:  # with the model that it was started with before
            assert service.json("/v1/stats")["images"] == ground.images
            assert service.json("/v1/search/text?q=red&limit=5")["hits"]
            ended("migrate", **service.settings | {"model": new})
            assert service.json("/v1/search/text?q=red&limit=5")["model"].startswith("tiny")
        assert len(of_store(data, corpus)) == ground.images
    return running


def upload(ground: Ground, count: int) -> int:
    """Of a service that takes images, one by one and several at once; the index is kept from kill to kill."""
    corpus, data, running = ground.fresh("uploads"), ground.fresh("upload-data"), 0
    service, sent = Server(data, corpus), Sent()
    for number in range(count):
        service.start()
        sender = threading.Thread(target=sent.send, args=(service,))
        sender.start()
        before = len(sent.acknowledged)
        while sender.is_alive() and len(sent.acknowledged) == before:
            time.sleep(0.01)
        time.sleep(ground.chance.uniform(0, 2.0))
        kill(service)
        sender.join()
        running += 1
        service.start()
        sent.check(service, corpus)
        kill(service) if number % 2 else service.stop()
    return running


class Sent:
    """What was sent, and what was acknowledged."""

    def __init__(self) -> None:
        self.number = 10_000
        self.acknowledged: dict[str, str] = {}
        self.tried: set[str] = set()

    def send(self, service: Server) -> None:
        """Until the service is gone."""
        while True:
            keys = [f"{self.number + step}.png" for step in range(1 + 3 * (self.number % 2))]
            self.number += len(keys)
            self.tried |= set(keys)
            images = {key: picture(int(key[:-4])) for key in keys}
            try:
                status = self._put(service, images) if len(images) == 1 else self._post(service, images)
            except OSError:
                return
            if status == 200:
                self.acknowledged |= {key: hashlib.sha256(data).hexdigest() for key, data in images.items()}

    def check(self, service: Server, corpus: Path) -> None:
        wanted, until = set(self.acknowledged), time.monotonic() + 120
        while not wanted <= (listed := self._listed(service)):
            assert time.monotonic() < until, f"acknowledged and not found: {sorted(wanted - listed)[:5]}"
            time.sleep(0.1)
        there = {path.name for path in corpus.rglob("*.png")}
        assert listed <= there <= self.tried, "the index and the folder have what was sent, and nothing else"
        for key, known in self.acknowledged.items():
            assert hashlib.sha256((corpus / key).read_bytes()).hexdigest() == known, f"{key} has other bytes"

    def _listed(self, service: Server) -> set[str]:
        keys: list[str] = []
        path: str | None = "/v1/images?limit=1000"
        while path:
            page = service.json(path)
            keys += [image["key"] for image in page["images"]]
            path = f"/v1/images?limit=1000&cursor={page['next']}" if page["next"] else None
        assert len(keys) == len(set(keys)), "an image is listed twice"
        return set(keys)

    def _put(self, service: Server, images: dict[str, bytes]) -> int:
        [(key, data)] = images.items()
        place = f"{service.url}/v1/images/by-key/{key}"
        request = urllib.request.Request(place, data, {"Content-Type": "image/png"}, method="PUT")  # noqa: S310 - http
        return int(service.open(request)[0])

    def _post(self, service: Server, images: dict[str, bytes]) -> int:
        line = b"--kills\r\n"
        body = b"".join(
            line + f'Content-Disposition: form-data; name="image"; filename="{key}"\r\n\r\n'.encode() + data + b"\r\n"
            for key, data in images.items()
        )
        status, _, answer = service.post("/v1/images", body + b"--kills--\r\n", "multipart/form-data; boundary=kills")
        return int(status) if all(one.get("image") for one in json.loads(answer).get("results", ())) else 0


def tiny(ground: Ground) -> Path:
    path = ground.folder / "tiny"
    return path if path.exists() else Path(build_tiny_clip(path))


WAYS: Final[dict[str, Callable[[Ground, int], int]]] = {
    "extract": lambda ground, count: extract(ground, count, "v.parquet"),
    "extract-numpy": lambda ground, count: extract(ground, count, "v"),
    "import": import_,
    "migrate": migrate,
    "switch": switch,
    "upload": upload,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(WAYS)}; default: all")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for way in options.ways or WAYS:
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            running = WAYS[way](Ground(Path(folder), random.Random(options.seed)), options.count)  # noqa: S311 - no secret
        print(
            f"{way}: {options.count} times, {running} kills of what ran; all whole; {time.monotonic() - started:.0f} s", flush=True
        )


if __name__ == "__main__":
    main()
