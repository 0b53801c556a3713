"""The architecture, kept: who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "ml_api"

LAYERS = [
    {
        "ml_api",
        "errors",
        "records",
        "deadline",
        "tracing",
        "addresses",
        "browsers",
        "environment",
        "files",
        "reverse_proxies",
        "stages",
        "stopping",
        "wording",
    },
    {"settings", "metrics", "logs", "images", "cores", "spans"},
    {
        "corpus",
        "images.processes",
        "embedding",
        "embedding.base",
        "embedding.pretrained",
        "embedding.precision",
        "embedding.preprocessing",
        "embedding.splitting",
        "vectors",
        "vectors.base",
        "vectors.validation",
        "progress",
        "periodic",
    },
    {
        "embedding.clip",
        "embedding.openvino",
        "embedding.batching",
        "embedding.caching",
        "embedding.fake",
        "embedding.triton",
        "vectors.milvus",
        "vectors.memory",
        "vectors.coalescing",
    },
    {"search", "indexing", "health", "embedding.openvino.conversion", "embedding.triton.serving"},
    {"services"},
    {"api"},
    {"web"},
    {"app"},
    {"serving"},
    {"cli"},
    {"__main__"},
]
"""From the ground up. A module may import from layers below its own, and from its own room."""

STRANGERS = [
    ("search", "indexing"),
    ("embedding", "vectors"),
    ("embedding.batching", "embedding.clip"),
    ("embedding.batching", "embedding.openvino"),
    ("embedding.openvino.encoder", "embedding.clip"),
    ("embedding.caching", "embedding.batching"),
    ("embedding.triton.encoder", "embedding.clip"),
    ("vectors.coalescing", "vectors.milvus"),
]
"""Rooms of one layer that must not know each other."""

ADAPTERS = {
    "torch": "embedding.clip",
    "sentence_transformers": "embedding.clip",
    "transformers": "embedding.clip",
    "tokenizers": "embedding.preprocessing",
    "openvino": "embedding.openvino",
    "huggingface_hub": "embedding.pretrained",
    "tritonclient": "embedding.triton",
    "pymilvus": "vectors.milvus",
    "milvus_lite": "vectors.milvus",
    "grpc": "vectors.milvus",
    "granian": "serving",
    "flasgger": "api",
    "pillow_heif": "images.decoders",
    "pillow_jxl": "images.decoders",
    "pyvips": "images.decoders",
    "tifffile": "images.decoders",
    "pebble": "images.processes",
    "prometheus_client": "metrics",
    "pynvml": "services",
    "opentelemetry": "spans",
    "dotenv": "settings",
}
"""Libraries that one room only may know."""

ELSEWHERE = {("torch", "embedding.triton.serving")}
"""What does not run in this application's process."""


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__") or "ml_api", path


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def known_modules():
    return {name for name, _ in modules()}


def own_imports(path):
    """The modules of ours that a file imports, by their names within the package."""
    names = known_modules()
    for name in imports(path):
        inner = name.removeprefix("ml_api.")
        if name.startswith("ml_api.") and inner in names:
            yield inner


def room(module):
    """The entry of LAYERS that covers a module: itself, or the folder it lies in."""
    named = set().union(*LAYERS)
    while module not in named:
        parent, dot, _ = module.rpartition(".")
        assert dot, f"{module} is in no layer: add it to LAYERS"
        module = parent
    return module


def layer(module):
    return next(level for level, names in enumerate(LAYERS) if room(module) in names)


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=[name for name, _ in modules()])
def test_imports_point_downwards(module, path):
    for imported in own_imports(path):
        same_room = room(imported) == room(module)
        below = layer(imported) < layer(module)
        ground = layer(imported) == layer(module) and imported in {
            "embedding.base",
            "vectors.base",
            "errors",
            "records",
            "addresses",
        }
        assert same_room or below or ground, f"{module} imports {imported} from its own or a higher layer"


@pytest.mark.parametrize(("one", "other"), STRANGERS)
def test_strangers_do_not_know_each_other(one, other):
    for module, path in modules():
        for inside, outside in ((one, other), (other, one)):
            if module == inside or module.startswith(f"{inside}."):
                known = [name for name in own_imports(path) if name == outside or name.startswith(f"{outside}.")]
                assert not known, f"{module} imports {known}"


@pytest.mark.parametrize(("library", "home"), list(ADAPTERS.items()))
def test_a_library_is_known_in_one_room_only(library, home):
    for module, path in modules():
        if module == home or module.startswith(f"{home}.") or (library, module) in ELSEWHERE:
            continue
        used = [name for name in imports(path) if name and name.split(".")[0] == library]
        assert not used, f"{module} imports {library}, which belongs to {home}"


def test_importing_the_application_loads_nothing_heavy():
    heavy = ("torch", "pymilvus", "transformers", "pandas", "opentelemetry")
    code = f"import sys, ml_api.app; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "[]"


def test_no_module_is_a_drawer_for_everything():
    banned = {"utils", "helpers", "common", "manager", "misc"}
    assert not [name for name, _ in modules() if banned & set(name.split("."))]


def test_no_module_outgrows_its_subject():
    too_long = {name: lines for name, path in modules() if (lines := len(path.read_text().splitlines())) > 260}
    assert not too_long
