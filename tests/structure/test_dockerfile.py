"""The image of the API: linted, built from files that are there, without root, without what it does not need."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "ml_api" / "Dockerfile"
TEXT = DOCKERFILE.read_text()
COPIES = [match.split() for match in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE)]


def test_hadolint_has_nothing_to_say():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint comes with requirements-dev.txt"
    result = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout


def test_what_is_copied_is_in_the_repository_and_let_through():
    allowed = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert COPIES
    for *sources, _target in COPIES:
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, f".dockerignore keeps {source} out"


def test_finding_a_model_needs_only_the_files_copied_for_it(tmp_path):
    """The stage that bakes a model in copies a few files of ml_api, so that other changes do not download it again."""
    stage = TEXT[TEXT.index("AS model") : TEXT.index("\nFROM base\n")]
    copied = [source for line in re.findall(r"^COPY (.+)$", stage, re.MULTILINE) for source in line.split()[:-1]]
    for source in copied:
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, target)
    code = f"import sys; from ml_api.embedding.pretrained import resolve; print(resolve({str(ROOT / 'demo/model')!r}).name)"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "demo model" in result.stdout, result.stderr


def test_the_base_is_pinned_and_the_user_is_not_root():
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", TEXT, re.MULTILINE)
    assert re.search(r"^ARG TRITON=\d+\.\d+-py3$", TEXT, re.MULTILINE)
    final = TEXT[TEXT.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.+)$", final, re.MULTILINE) == ["10001"]


def test_signals_reach_the_program():
    """Exec form: in shell form the signals end at a shell."""
    for instruction in ("ENTRYPOINT", "CMD"):
        assert all(line.startswith("[") for line in re.findall(rf"^{instruction} (.+)$", TEXT, re.MULTILINE))


def test_health_is_the_readiness_of_the_service():
    assert "/readyz" in TEXT[TEXT.index("HEALTHCHECK") :].split("\nENTRYPOINT")[0]


def test_compose_gives_the_arguments_that_the_dockerfile_has():
    compose = (ROOT / "docker-compose.minimal.yml").read_text()
    for argument in ("DEVICE", "MODEL", "REVISION"):
        assert re.search(rf"^ARG {argument}\b", TEXT, re.MULTILINE)
        assert re.search(rf"^\s+{argument}: ", compose, re.MULTILINE)
