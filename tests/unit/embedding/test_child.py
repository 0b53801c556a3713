"""The model in a process of its own: what is said when it dies, and that it comes back (vectors: contracts/test_encoder.py)."""

import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from ml_api.embedding.base import Prepared
from ml_api.embedding.child import ChildEncoder, Load
from ml_api.embedding.clip import ClipPreparer
from ml_api.embedding.pretrained import resolve
from ml_api.errors import ConfigError, ModelUnavailable
from tests.tiny_clip import build_tiny_clip

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60
PARENT = """
import signal, sys
from functools import partial
from tests.unit.embedding.test_child import load
from ml_api.embedding.child import ChildEncoder
from ml_api.embedding.clip import ClipPreparer
told = load(sys.argv[1])
encoder = ChildEncoder(partial(ClipPreparer.of, told.pretrained), told, lambda: told.pretrained)
print(encoder.pid, flush=True)
signal.pause()
"""


def load(folder):
    return Load(resolve(str(folder)), "cpu", "fp32", "info", "testing")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return build_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="module")
def told(tiny):
    """What the child is told to load; a test may add what is found there later."""
    return [load(tiny)]


@pytest.fixture(scope="module")
def shared(told):
    def last():
        if isinstance(told[-1], Exception):
            raise told[-1]
        return told[-1].pretrained

    encoder = ChildEncoder(partial(ClipPreparer.of, told[0].pretrained), told[0], last, pass_timeout_s=5)
    yield encoder
    encoder.close()


@pytest.fixture
def encoder(shared):
    until(lambda: works(shared), "it did not come back")
    return shared


def alive(pid):
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def until(holds, what):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def works(encoder):
    try:
        encoder.embed([encoder.prepare_text("cat")])
    except ModelUnavailable:
        return False
    return True


def test_one_that_is_killed_is_said_to_be_and_comes_back(encoder, caplog):
    item = encoder.prepare_text("a red cat")
    before = encoder.embed([item])
    first = encoder.pid

    os.kill(first, signal.SIGKILL)
    until(lambda: not works(encoder), "it was not killed")
    until(lambda: works(encoder), "it did not come back")

    assert encoder.pid != first
    assert (encoder.embed([item]) == before).all()
    assert "was ended by signal 9; it is started again" in caplog.text


def test_who_waits_for_one_that_is_killed_is_answered(encoder):
    os.kill(encoder.pid, signal.SIGSTOP)  # so that what is asked cannot be answered before the end
    with ThreadPoolExecutor(2) as callers:
        waiting = [callers.submit(encoder.embed, [encoder.prepare_text("cat")]) for _ in range(2)]
        time.sleep(0.2)
        os.kill(encoder.pid, signal.SIGKILL)
        for answer in waiting:
            with pytest.raises(ModelUnavailable, match="ended by signal 9"):
                answer.result(PATIENCE_S)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_one_that_hangs_is_replaced(encoder, modality):
    from PIL import Image

    # The images are more than fits into the socket: already sending them hangs.
    items = [encoder.prepare_text("cat")] if modality == "text" else [encoder.prepare_image(Image.new("RGB", (64, 64)))] * 100
    first = encoder.pid
    os.kill(first, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(ModelUnavailable):
        encoder.embed(items)
    assert time.monotonic() - started < 15
    until(lambda: works(encoder), "it did not come back")
    assert not alive(first)


def test_a_model_that_was_replaced_by_another_is_not_served(encoder, told, caplog):
    told.append(replace(told[0], pretrained=replace(told[0].pretrained, revision="another")))
    os.kill(encoder.pid, signal.SIGKILL)

    until(lambda: "restart me" in caplog.text, "nothing was said")
    assert not works(encoder)
    told.pop()
    until(lambda: works(encoder), "it did not come back")


def test_a_start_that_fails_is_tried_again(encoder, told, caplog):
    told.append(OSError("cannot allocate memory"))
    os.kill(encoder.pid, signal.SIGKILL)

    until(lambda: "cannot be started again: cannot allocate memory" in caplog.text, "nothing was said")
    told.pop()
    until(lambda: works(encoder), "it did not come back")


def test_what_cannot_be_loaded_is_said_as_if_it_were_loaded_here(told, tmp_path):
    nothing = replace(told[0], pretrained=replace(told[0].pretrained, path=tmp_path))
    with pytest.raises(ConfigError, match="ML_API_MODEL: tiny cannot be loaded"):
        ChildEncoder(partial(ClipPreparer.of, told[0].pretrained), nothing, lambda: nothing.pretrained)


def test_a_failure_to_prepare_leaves_no_process(told, monkeypatch):
    started = []
    real = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **options: started.append(real(*args, **options)) or started[-1])

    def prepare():
        raise ConfigError("no tokenizer")

    with pytest.raises(ConfigError, match="no tokenizer"):
        ChildEncoder(prepare, told[0], lambda: told[0].pretrained)
    assert started[0].returncode is not None


def test_what_the_model_cannot_take_costs_only_who_sent_it(encoder, capfd):
    import numpy as np

    with pytest.raises(ModelUnavailable, match=r"The model failed\."):
        encoder.embed([Prepared("text", np.array([10**9]))])
    assert works(encoder)


def test_closing_ends_the_process_and_may_be_done_twice(told, caplog):
    caplog.set_level(logging.INFO)
    encoder = ChildEncoder(partial(ClipPreparer.of, told[0].pretrained), told[0], lambda: told[0].pretrained)
    encoder.close()
    encoder.close()

    assert not alive(encoder.pid)
    with pytest.raises(ModelUnavailable):
        encoder.embed([encoder.prepare_text("cat")])
    assert not caplog.records


def test_signals_for_everybody_do_not_take_the_model_away(encoder):
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(encoder.pid, number)
    time.sleep(0.2)

    assert works(encoder)


def test_it_ends_when_its_parent_does(tiny):
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tiny)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    until(lambda: not alive(pid), "it outlived its parent")
