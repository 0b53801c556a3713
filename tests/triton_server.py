"""A real Triton server with its Python backend, for tests: one process, its own ports, gone at the end.

The wheel `nvidia-pytriton` carries the server; we start it directly, as NVIDIA's container does. `make test` installs it.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import pytest

INSTALL = Path(sys.prefix) / "triton-server"
PROGRAMS = INSTALL / "pytriton/tritonserver"
START_TIMEOUT_S = 120
SHARED_MEMORY = Path("/dev/shm")


def skip_without_triton():
    if not (INSTALL / "python/bin/python3").exists() or (INSTALL / "missing").exists():
        missing = INSTALL / "missing"
        reason = missing.read_text().strip() if missing.exists() else "`make .venv/.triton-server` installs it (a wheel of 55 MB)"
        pytest.skip(f"no Triton server: {reason}")


class TritonServer:
    """Serves a model repository. Start with `start`, and again after `stop` or `kill`: the ports stay."""

    def __init__(self, repository: Path, log: Path) -> None:
        self._repository = repository
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._region = f"triton_test_{uuid.uuid4().hex[:12]}_"
        with socket.socket() as grpc, socket.socket() as http:
            for probe in (grpc, http):
                probe.bind(("127.0.0.1", 0))
            self._grpc_port, self._http_port = grpc.getsockname()[1], http.getsockname()[1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._grpc_port}"

    def start(self) -> None:
        """Returns when all models are ready. Raises RuntimeError, with the end of the log, if they do not become so."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    PROGRAMS / "bin/tritonserver",
                    *(f"--model-repository={self._repository}", f"--backend-directory={PROGRAMS / 'backends'}"),
                    *("--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--allow-metrics=false", "--exit-timeout-secs=1"),
                    *(f"--http-port={self._http_port}", f"--grpc-port={self._grpc_port}"),
                    f"--backend-config=python,shm-region-prefix-name={self._region}",
                ],
                cwd=self._log.parent,  # the backend's import path starts here, so it must not be this checkout
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=os.environ
                | {"PATH": f"{INSTALL / 'python/bin'}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Triton did not start; end of its log:\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def pause(self) -> None:
        """Hang it: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """The server and its backends, at once."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None
            for region in SHARED_MEMORY.glob(f"{self._region}*"):
                region.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._http_port}/v2/health/ready", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
