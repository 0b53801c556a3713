"""Services that are killed, and started again, while somebody changes the corpus: what was acknowledged is there afterwards."""

import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from benchmarks.kills.ground import Ground, ended, of_store
from benchmarks.kills.people import Sent, Work
from tests.e2e.server_process import Server, environment


def switch(ground: Ground, count: int) -> int:
    """Of a service that changes its model."""
    new, running = ground.tiny(), 0
    for _ in range(count):
        place = ground.indexed("switch-data")
        service = _service(place)
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
        assert len(of_store(place)) == ground.images
    return running


def upload(ground: Ground, count: int) -> int:
    """Of a service that takes images, one by one and several at once; the index is kept from kill to kill."""
    corpus = ground.fresh("uploads")
    sent = Sent()
    for number, service in _lives(_service(ground.place("upload-data", corpus)), count):
        sender = threading.Thread(target=sent.send, args=(service,))
        sender.start()
        before = len(sent.acknowledged)
        while sender.is_alive() and len(sent.acknowledged) == before:
            time.sleep(0.01)
        time.sleep(ground.chance.uniform(0, 2.0))
        kill(service)
        sender.join()
        service.start()
        sent.check(service, corpus)
        kill(service) if number % 2 else service.stop()
    return count


def watch(ground: Ground, count: int) -> int:
    """Of a service that follows a folder, in which somebody works on while it is down; the index is kept from kill to kill."""
    corpus = ground.fresh("watched")
    work = Work(ground, corpus)
    for number, service in _lives(_service(ground.place("watch-data", corpus), watch=True), count):
        worker = threading.Thread(target=work.go_on, args=(service,))
        worker.start()
        time.sleep(ground.chance.uniform(0.5, 4.0))
        kill(service)
        time.sleep(0.2)
        work.over.set()
        worker.join()
        work.over.clear()
        service.start()
        work.check(service)
        kill(service) if number % 2 else service.stop()
    return count


def outage(ground: Ground, count: int) -> int:
    """Of the store's server, for a minute, while images are uploaded and notifications arrive. Nothing is killed of ours."""
    assert ground.milvus is not None, "Milvus Lite is no server: choose outage-server"
    corpus = ground.fresh("outage")
    service, sent = _service(ground.place("outage-data", corpus), store_timeout_s=5), Sent(notify=corpus)
    with service:
        for _ in range(count):
            before, known = images_in_batches(service), len(sent.acknowledged)
            over = threading.Event()
            sender = threading.Thread(target=sent.send, args=(service, over))
            ground.milvus.kill()
            sender.start()
            time.sleep(60)
            over.set()
            sender.join()
            waiting = metric(service, "ml_api_changes_waiting")
            started = time.monotonic()
            ground.milvus.start()
            sent.check(service, corpus)
            number, images = (after - old for after, old in zip(images_in_batches(service), before, strict=True))
            print(
                f"  {len(sent.acknowledged) - known} acknowledged in a minute without the store, {waiting:.0f} told as waiting; "
                f"all there {time.monotonic() - started:.0f} s after the server was started again, {images / number:.1f} a batch",
                flush=True,
            )
    return count


def metric(service: Server, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} ")), 0.0)


def images_in_batches(service: Server) -> tuple[float, float]:
    """How many batches of images went through the model, and how many images."""
    count, images = (metric(service, f'ml_api_embed_batch_size_{what}{{modality="image"}}') for what in ("count", "sum"))
    return count, images


def _lives(service: Server, count: int) -> Iterator[tuple[int, Server]]:
    """It is started for each; nothing of it is left at the end, or after the first difference."""
    try:
        for number in range(count):
            service.start()
            yield number, service
    finally:
        service.kill()


def kill(service: Server) -> None:
    service.process.kill()
    service.process.wait(30)


def _service(place: dict[str, Any], **settings: Any) -> Server:
    return Server(place["data_dir"], **{name: value for name, value in place.items() if name != "data_dir"} | settings)
