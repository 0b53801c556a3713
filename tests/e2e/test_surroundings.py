"""The commands where little is given: no environment, no home, folders and disks that cannot be written. One line each."""

import os
import shlex
import subprocess
import sys

import pytest
from PIL import Image

from monitoring.local.launcher import free_port
from tests.e2e.server_process import MODEL, ROOT
from tests.models.converted_models import share_converted_models

COMMAND = [sys.executable, "-m", "ml_api"]


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "one.png")
    return folder


@pytest.fixture
def converted(tmp_path):
    """The model, in the data folder."""
    (tmp_path / "data").mkdir()
    share_converted_models(tmp_path / "data")


def run(command, cwd, **environment):
    """With nothing in the environment but what is given, and where our modules are."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_mounted(options, folder, command, cwd):
    """With a file system of its own in `folder`, which only the command sees."""
    folder.mkdir()
    unshare = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    mount = (
        f"mount -t tmpfs -o {options} none {shlex.quote(str(folder))} && cd {shlex.quote(str(cwd))} && exec {shlex.join(command)}"
    )
    return run([*unshare, "sh", "-c", mount], ROOT, PATH=os.environ["PATH"])


def errors(result, code=2):
    lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]  # which are its log
    assert result.returncode == code, result
    assert all(line.startswith("error: ") for line in lines), result.stderr
    return [line.removeprefix("error: ") for line in lines]


def test_a_sync_needs_no_environment_and_keeps_its_data_where_it_was_started(pictures, tmp_path):
    result = run([*COMMAND, "sync", "pictures", "--model", MODEL], tmp_path)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "data").iterdir()} >= {"milvus.db", "sync.prom"}


@pytest.mark.usefixtures("converted", "pictures")
def test_a_sync_needs_no_user_whom_the_system_knows(tmp_path):
    """In a container with a user id of its own."""
    unknown = ["unshare", "--map-user=4242"]
    if subprocess.run([*unknown, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nobody may take another user id here")
    result = run([*unknown, *COMMAND, "sync", "pictures", "--model", MODEL], tmp_path, PATH=os.environ["PATH"])
    assert result.returncode == 0, result.stderr


@pytest.mark.usefixtures("converted", "pictures")
def test_a_sync_needs_no_standard_streams(tmp_path):
    closed = f"exec {shlex.join(COMMAND)} sync pictures --model {MODEL} <&- >&- 2>&-"
    assert run(["/bin/sh", "-c", closed], tmp_path).returncode == 0
    assert (tmp_path / "data" / "milvus.db").exists()


def test_what_is_found_out_later_is_told_by_the_name_it_was_given(pictures, tmp_path):
    [problem] = errors(run([*COMMAND, "sync", "pictures", "--model", "./nowhere"], tmp_path))
    assert problem == "--model: there is no directory ./nowhere"


def test_a_file_in_the_working_directory_is_read(tmp_path):
    (tmp_path / ".env").write_text("ML_API_DEVICE=tpu\nGRAFANA_PASSWORD=secret\n")
    [problem] = errors(run([*COMMAND, "sync", "."], tmp_path))
    assert problem.startswith("ML_API_DEVICE in .env: ")


def test_serving_tells_all_that_is_missing_at_once(tmp_path):
    (tmp_path / "data").write_text("a file\n")
    ports = ["--port", free_port(), "--metrics-port", free_port()]
    problems = errors(run([*COMMAND, "serve", *ports], tmp_path))
    assert problems == [
        "--corpus or ML_API_CORPUS: name the folder of images",
        f"--data-dir or ML_API_DATA_DIR: {tmp_path / 'data'} is not a folder",
    ]


def test_a_home_folder_is_found_without_HOME(tmp_path):  # noqa: N802 - the variable's name
    [problem] = errors(run([*COMMAND, "sync", "~/no such folder"], tmp_path))
    assert problem.startswith("DIR: ~/no such folder is not a folder: there is no /")


def test_a_working_directory_that_is_gone_is_told(pictures, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    leave = f"rmdir {shlex.quote(str(gone))} && exec {shlex.join(COMMAND)} sync {shlex.quote(str(pictures))}"
    [problem] = errors(run(["/bin/sh", "-c", leave], gone))
    assert problem == "--data-dir or ML_API_DATA_DIR: data: the working directory no longer exists; write the full path"


@pytest.mark.parametrize("command", [["sync"], ["serve", "--corpus"]], ids=["sync", "serve"])
def test_a_file_system_that_is_read_only_is_told(command, pictures, tmp_path):
    ports = [] if command == ["sync"] else ["--port", str(free_port()), "--metrics-port", str(free_port())]
    folder = tmp_path / "read-only"
    [problem] = errors(run_mounted("ro", folder, [*COMMAND, *command, str(pictures), *ports], folder))
    why = f"{folder} cannot be written: the disk is mounted read-only"
    assert problem == f"--data-dir or ML_API_DATA_DIR: {folder / 'data'} cannot be made, as {why}"


def test_a_disk_that_is_full_is_told(pictures, tmp_path):
    folder = tmp_path / "full"
    command = [*COMMAND, "sync", str(pictures), "--data-dir", str(folder / "data")]
    [problem] = errors(run_mounted("size=64k", folder, command, tmp_path))
    assert problem == f"--data-dir: no space is left for {folder / 'data'} (64 KB)"
