"""The command `sync` as people run it: in hostile folders, on full disks, stopped at any moment. One line, the right exit code."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.e2e.server_process import MODEL, ROOT, environment, run
from tests.models.tiny_clip import build_tiny_clip
from tests.unprivileged import AS_A_PERSON, open_folder
from tests.waiting import wait_until


def draw(path, seed):
    """Noise, so that no two are alike and no file is small for its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(path)


@contextmanager
def started(folder, *arguments, **settings):
    """The command without root's rights; whatever is left of it goes."""
    process = subprocess.Popen(
        [*AS_A_PERSON, sys.executable, "-m", "ml_api", "sync", *map(str, arguments)],
        cwd=folder,
        env=environment(**({"model": MODEL, "data_dir": folder / "data"} | settings)) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def data(tmp_path):
    """A data folder in which the demo model lies converted, as after a first sync: see `environment`."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_person_without_rights_syncs_a_hostile_folder():
    """Root may read everything: what a person may not is only seen as one."""
    with open_folder() as folder:
        corpus = folder / "corpus"
        for number, key in enumerate(
            ("a/1.png", "locked/2.png", "unsearchable/3.png", "secret.png", "#recycle/4.png", "data/thumbnails/5.png")
        ):
            draw(corpus / key, number)
        (corpus / "broken.jpg").write_bytes(b"\xff\xd8\xff not for long")
        (corpus / "loop.png").symlink_to("loop.png")
        (corpus / "metadata.csv").write_text('Key;caption\na/1.png;"one"\nsecret.png;"never closed\nnowhere.png;x\n')
        (corpus / "metadata.jsonl").write_text("[" * 100_000 + "\n")
        deep = corpus.joinpath(*["d"] * 400)
        deep.mkdir(parents=True)
        draw(deep / "deep.png", 99)
        for name, mode in (("locked", 0), ("unsearchable", 0o444), ("secret.png", 0)):
            (corpus / name).chmod(mode)
        with started(folder, corpus, data_dir=corpus / "data") as process:
            out, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    told = [line["message"] for line in lines(errors)]
    assert "Traceback" not in errors
    assert any(told_line.startswith("not listed: locked/: Permission denied") for told_line in told)
    assert any(told_line.startswith("not listed: unsearchable/3.png: Permission denied") for told_line in told)
    assert "not indexed: secret.png: cannot be read: Permission denied" in told
    assert any("metadata.jsonl, line 1: JSON nested too deeply" in told_line for told_line in told)
    assert any("metadata.csv, line 3: not CSV" in told_line for told_line in told)
    assert any("1 of 2 keys are of no image here, such as 'nowhere.png'" in told_line for told_line in told)
    [report] = [line for line in lines(errors) if line.get("event.action") == "sync"]
    assert (report["ml_api.sync.added"], report["ml_api.sync.failed"]) == (2, 2)
    assert out == f"{report['message']}\n"
    assert "s: 2 added, 2 failed" in out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_disk_that_fills_up_is_called_by_its_name(tmp_path):
    small = tmp_path / "data"
    small.mkdir()
    for number in range(700):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1100k", "tmpfs", str(small)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("this container may not mount a small disk")
    try:
        result = run("sync", tmp_path / "corpus", model=MODEL, data_dir=small)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert result.returncode == 1
    error = result.stderr.splitlines()[-1]
    assert "no space left" in error or "disk is full" in error, "the store's or the database's"
    assert result.stdout == ""


def test_a_folder_that_cannot_be_written_is_one_line():
    with open_folder() as folder:
        draw(folder / "corpus" / "a.png", 1)
        (folder / "data").mkdir(mode=0o555)
        with started(folder, folder / "corpus") as process:
            out, error = process.communicate(timeout=60)
    assert process.returncode in {1, 2}
    assert len(error.splitlines()) == 1
    assert "data" in error
    assert "Traceback" not in out + error


def test_a_sync_that_looks_like_an_accident_ends_with_its_own_code(tmp_path, data):
    settings = {"model": MODEL, "data_dir": data}
    for number in range(30):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    draw(tmp_path / "other" / "a.png", 1)
    assert run("sync", tmp_path / "corpus", **settings).returncode == 0
    for corpus, lost, way in ((tmp_path / "other", 0, "--replace"), (tmp_path / "corpus", 25, "--allow-removals")):
        for path in list(corpus.glob("*.png"))[:lost]:
            path.unlink()
        refused = run("sync", corpus, **settings)
        assert refused.returncode == 3
        error = refused.stderr.splitlines()[-1]
        assert error.startswith("error: ")
        assert "Nothing was changed" in error
        assert way in error


def test_a_sync_is_shown_before_it_is_made_and_told_file_by_file(tmp_path, data):
    settings = {"model": MODEL, "data_dir": data}
    for number in range(3):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    (tmp_path / "corpus" / "broken.jpg").write_bytes(b"not an image")
    shown = run("sync", tmp_path / "corpus", "--dry-run", "--json", log_level="error", **settings)
    assert (shown.returncode, shown.stderr) == (0, "")
    plan = json.loads(shown.stdout)
    assert (plan["counts"]["added"], plan["to_read"], plan["refused"]) == (4, 4, None)
    assert not [path for path in data.iterdir() if path.name in {"milvus.db", "ml_api.sqlite3"}], "a dry run makes nothing"
    done = run("sync", tmp_path / "corpus", "--report", tmp_path / "report.jsonl", **settings)
    assert done.returncode == 0, done.stderr
    told = {line["key"]: (line["outcome"], line["code"]) for line in lines((tmp_path / "report.jsonl").read_text())}
    assert told == {f"{number}.png": ("added", "") for number in range(3)} | {"broken.jpg": ("failed", "image-format")}
    shutil.rmtree(tmp_path / "corpus")
    (tmp_path / "corpus").mkdir()
    refused = run("sync", tmp_path / "corpus", "--dry-run", log_level="error", **settings)
    assert refused.returncode == 0
    assert "the sync would be refused" in refused.stdout
    assert "--allow-empty" in refused.stdout


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    root = tmp_path_factory.mktemp("many") / "corpus"
    draw(root / "0.png", 0)
    for number in range(1, 3000):
        shutil.copy(root / "0.png", root / f"{number}.png")
        with (root / f"{number}.png").open("ab") as file:
            file.write(number.to_bytes(4, "big"))  # behind the picture's end: other bytes, nothing else
    return root


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_sync_that_is_stopped_says_how_far_it_came_and_goes_on(tmp_path, data, many, number, code):
    with started(tmp_path, many) as process:
        wait_until(lambda: has_indexed_some(data / "ml_api.sqlite3"), 120, "the sync wrote nothing")
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in out + error
    *logged, message = error.splitlines()
    done = int(message.removeprefix("stopped after ").partition(" ")[0].replace(",", ""))
    assert message == f"stopped after {done:,} of 3,000; run it again to go on"
    assert 0 < done < 3000
    [report] = [line for line in map(json.loads, logged) if line.get("event.action") == "sync"]
    assert report["ml_api.sync.added"] == done
    assert out.startswith("sync stopped after")
    assert report["event.outcome"] == "unknown"


def has_indexed_some(database):
    """By what the sync tells of itself twice a second; its metrics come every five, when a quick one is over."""
    if not database.exists():
        return False
    with closing(sqlite3.connect(database)) as reading, suppress(sqlite3.OperationalError):  # no table yet, or just being made
        return reading.execute("SELECT count(*) FROM jobs WHERE done > 0").fetchone() == (1,)
    return False


@pytest.mark.parametrize("after_s", [0, 0.3, 0.8, 1.5, 2.5])
def test_a_sync_that_is_interrupted_while_it_starts_ends_at_once_without_a_traceback(tmp_path, many, after_s):
    """At no moment in particular: while modules are loaded, the store opens, the model is loaded."""
    with started(tmp_path, many) as process:
        wait_until_it_catches_signals(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(after_s)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in out + error
    said = [line for line in error.splitlines() if not line.startswith("{")]  # the others are its log
    assert said in ([], ["stopped before anything was indexed; run it again to go on"])


def wait_until_it_catches_signals(process):
    """SIGTERM, which Python by itself does not: before that, nothing of ours runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status = Path(f"/proc/{process.pid}/status").read_text()
        [caught] = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt")]
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.005)  # there is nothing to wait on but the file
    pytest.fail("the command never began")


def test_a_model_that_makes_nothing_of_any_image_is_a_failure_and_no_files_fault(tmp_path):
    model = build_tiny_clip(tmp_path / "model")
    [weights] = model.rglob("model.safetensors")
    tensors = load_file(weights)
    tensors["vision_model.post_layernorm.weight"].fill_(float("nan"))
    save_file(tensors, weights, metadata={"format": "pt"})
    for number in range(3):
        draw(tmp_path / "corpus" / f"{number}.png", number)
    done = run("sync", tmp_path / "corpus", model=model, data_dir=tmp_path / "data")
    assert done.returncode == 1
    assert done.stderr.endswith("error: the model returned no finite vector for any of the 3 images it was given\n")
    with closing(sqlite3.connect(tmp_path / "data" / "ml_api.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM failures").fetchone() == (0,)
