"""What is said to libraries before they load: to OpenMP, and to all that would ask a proxy for this machine."""

import subprocess
import sys
import urllib.request

import pytest

from ml_api.cli.environment import configure_openblas, configure_openmp, keep_this_machine_out


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"no_proxy": "milvus, .lan,"}, "milvus,.lan,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "milvus"}, "milvus,localhost,127.0.0.1,::1"),
        ({"no_proxy": "127.0.0.1", "NO_PROXY": "other"}, "127.0.0.1,localhost,::1"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_this_machine_is_added_to_what_is_listed(given, kept):
    environ = dict(given)
    keep_this_machine_out(environ)
    assert environ["no_proxy"] == kept


def test_a_proxy_stays_for_the_rest(monkeypatch):
    environ = {"http_proxy": "http://proxy.example:3128"}
    keep_this_machine_out(environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert urllib.request.proxy_bypass("127.0.0.1:8420")
    assert not urllib.request.proxy_bypass("huggingface.co")


def test_threads_hardly_spin_while_they_wait():
    environ = {}
    configure_openmp(environ, usable_cores=8)

    assert (environ["OMP_WAIT_POLICY"], environ["GOMP_SPINCOUNT"]) == ("PASSIVE", "1000")


def test_a_pass_takes_all_cores():
    environ = {}
    configure_openmp(environ, usable_cores=3)

    assert environ["OMP_NUM_THREADS"] == "3"


def test_what_the_operator_has_set_stands():
    chosen = {"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "6", "GOMP_SPINCOUNT": "5", "OPENBLAS_NUM_THREADS": "4"}
    environ = dict(chosen)
    configure_openmp(environ, usable_cores=2)
    configure_openblas(environ)

    assert environ == chosen


def test_each_product_is_computed_in_its_callers_thread():
    """Beside other work small ones had waited for a tenth of a second and more for a part in another thread."""
    program = (
        "import os; from ml_api.cli.environment import configure_openblas; configure_openblas(os.environ);"
        "import numpy; a = numpy.ones((500, 500)); a @ a; print(len(os.listdir('/proc/self/task')))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)

    assert ran.stdout.strip() == "1"


def test_torch_hears_what_was_said_before_it_was_loaded():
    program = (
        "import os; from ml_api.cli.environment import configure_openmp; configure_openmp(os.environ, usable_cores=2);"
        "import torch; print(torch.get_num_threads())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)

    assert ran.stdout.strip() == "2"
