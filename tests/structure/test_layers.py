"""The architecture, kept: who may import whom, as pyproject.toml says (`[tool.importlinter]`), and what importing costs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from ml_api.settings import Settings

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = (sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache")
"""Not the program beside Python: that one names the folder into which it was installed, and fails once that has moved."""

ADAPTERS = {
    "torch": "embedding.clip",
    "sentence_transformers": "embedding.clip",
    "transformers": "embedding.clip",
    "tokenizers": "embedding.preprocessing",
    "openvino": "embedding.openvino",
    "huggingface_hub": "embedding.pretrained",
    "cachetools": "embedding.caching",
    "tritonclient": "embedding.triton",
    "pymilvus": "vectors.milvus",
    "milvus_lite": "vectors.milvus",
    "faiss": "vectors.milvus",
    "grpc": "vectors.milvus",
    "pyarrow": "vectors.files",
    "fastavro": "vectors.files",
    "granian": "serving",
    "fsspec": "corpus.bucket",
    "botocore": "corpus.bucket",
    "aiohttp": "corpus.bucket",
    "flasgger": "api",
    "pillow_heif": "images.decoders",
    "pillow_jxl": "images.decoders",
    "pyvips": "images.decoders",
    "tifffile": "images.decoders",
    "prometheus_client": "metrics",
    "pynvml": "services",
    "opentelemetry": "spans",
    "dotenv": "settings",
}
"""Libraries that one room only may know."""

ELSEWHERE = {
    "torch": {"ml_api.embedding.triton.serving"},  # it does not run in this application's process
    "pyarrow": {
        "ml_api.corpus.metadata.parquet",  # metadata in Parquet, beside vectors
        "ml_api.vectors.milvus.embedded.parts",  # what Milvus Lite's files are made of
        "ml_api.vectors.milvus.embedded.snapshots",
        "ml_api.vectors.milvus.embedded.written",  # and its log
    },
}
"""Modules outside the room that may know the library all the same."""

SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for folder in ("ml_api", "client", "demo", "grafana", "monitoring", "benchmarks", "scripts")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
LONG = {"client/ml_api_client/models.py"}  # written by a program


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("ml_api", include_external_packages=True, cache_dir=None)


def test_imports_keep_the_contracts():
    result = subprocess.run(LINT_IMPORTS, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(("library", "home"), ADAPTERS.items())
def test_a_library_is_known_in_one_room_only(graph, library, home):
    room = {f"ml_api.{home}"} | graph.find_descendants(f"ml_api.{home}")
    strangers = graph.find_modules_that_directly_import(library) - room - ELSEWHERE.get(library, set())
    assert not strangers, f"{library} belongs to {home}"


def test_importing_the_application_loads_nothing_heavy():
    heavy = ("torch", "pymilvus", "transformers", "pandas", "pyarrow", "fastavro", "opentelemetry")
    code = f"import sys, ml_api.app; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


def test_no_module_is_a_drawer_for_everything(graph):
    banned = {"utils", "helpers", "common", "manager", "misc"}
    assert not [name for name in graph.modules if name.startswith("ml_api.") and banned & set(name.split("."))]


def test_no_module_outgrows_its_subject():
    page = {path.name: path.read_text() for path in (ROOT / "ml_api" / "web" / "static").rglob("*.js")}
    lines = {name: len(text.splitlines()) for name, text in (SOURCES | page).items() if name not in LONG}
    assert not {name: count for name, count in lines.items() if count > 260}


def test_no_function_outgrows_its_name():
    """Counted without its signature and docstring, which may say much. Migrations are history."""
    lengths = {
        f"{name}:{function.lineno} {function.name}": _lines(function)
        for name, text in SOURCES.items()
        if "migrations/versions" not in name
        for function in ast.walk(ast.parse(text))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > 40}


def _lines(function):
    first = function.body[min(ast.get_docstring(function) is not None, len(function.body) - 1)]
    return function.end_lineno - first.lineno + 1


def test_every_setting_is_used():
    everywhere = "\n".join(text for name, text in SOURCES.items() if name.startswith("ml_api/"))
    assert not [name for name in Settings.model_fields if not re.search(rf"(settings|self)\.{name}\b", everywhere)]


def test_no_thread_that_holds_what_others_wait_for_has_a_lower_priority_than_they():
    """Python's lock and the store's are held until the thread gets a core; decoding processes hold neither."""
    lowering = {name for name, text in SOURCES.items() if re.search(r"setpriority|\bnice\(|sched_set", text)}
    assert lowering == {"ml_api/images/processes/child.py"}
