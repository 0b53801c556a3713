"""A real Triton server with its Python backend, for tests: one process, its own ports, gone at the end.

The wheel `nvidia-pytriton` carries the server; we start it directly, as NVIDIA's container does. `make test` installs it.
"""

import os
import sys
import uuid
from functools import partial
from pathlib import Path

import pytest

from monitoring.local.launcher import ServerProcess, answers, free_ports

INSTALL = Path(sys.prefix) / "triton-server"
PROGRAMS = INSTALL / "pytriton/tritonserver"
SHARED_MEMORY = Path("/dev/shm")


def skip_without_triton():
    if not (INSTALL / "python/bin/python3").exists() or (INSTALL / "missing").exists():
        missing = INSTALL / "missing"
        reason = missing.read_text().strip() if missing.exists() else "`make .venv/.triton-server` installs it (a wheel of 55 MB)"
        pytest.skip(f"no Triton server: {reason}")


class TritonServer(ServerProcess):
    """Serves a model repository; ready when all models are. Start with `start`, and again after `kill`: the ports stay."""

    def __init__(self, repository: Path, log: Path) -> None:
        self._region = f"triton_test_{uuid.uuid4().hex[:12]}_"
        grpc_port, http_port = free_ports(2)
        self.address = f"127.0.0.1:{grpc_port}"
        super().__init__(
            [
                PROGRAMS / "bin/tritonserver",
                *(f"--model-repository={repository}", f"--backend-directory={PROGRAMS / 'backends'}"),
                *("--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--allow-metrics=false", "--exit-timeout-secs=1"),
                *(f"--http-port={http_port}", f"--grpc-port={grpc_port}"),
                f"--backend-config=python,shm-region-prefix-name={self._region}",
            ],
            partial(answers, f"http://127.0.0.1:{http_port}/v2/health/ready"),
            log=log,
            cwd=log.parent,  # the backend's import path starts here, so it must not be this checkout
            env=os.environ
            | {"PATH": f"{INSTALL / 'python/bin'}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
        )

    def kill(self) -> None:
        """With its backends, and the memory that they shared."""
        super().kill()
        for region in SHARED_MEMORY.glob(f"{self._region}*"):
            region.unlink(missing_ok=True)
