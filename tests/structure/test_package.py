"""`pip install .`: a wheel with everything that the service reads at run time, and with the requirements of the one list."""

import email
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements.txt",
    "requirements-triton.txt",
    "requirements-otel.txt",
    "requirements-s3.txt",
    "requirements-gcs.txt",
    "requirements-azure.txt",
    "ml_api",
]
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


def required(name):
    """The requirements that a file lists."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return {line for line in lines if line}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built as pip builds it, from a copy, as building leaves folders behind; with the setuptools that is here."""
    folder = tmp_path_factory.mktemp("package")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=folder, check=True, capture_output=True, timeout=120)
    [built] = folder.glob("*.whl")
    return built


def test_every_module_and_every_file_that_is_read_is_in_it(wheel):
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ml_api").rglob("*") if path.suffix == ".py"}
    wanted |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "ml_api" / "web").rglob("*.*") if path.suffix != ".pyc"}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == wanted | {"ml_api/py.typed"}


def test_its_requirements_are_those_of_the_files(wheel):
    with zipfile.ZipFile(wheel) as file:
        [metadata] = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(file.read(metadata))
    always = {value for value in told.get_all("Requires-Dist") if "extra ==" not in value}
    assert always == required("requirements.txt")
    for extra in ("triton", "otel"):
        listed = {value.partition(";")[0].strip() for value in told.get_all("Requires-Dist") if f'extra == "{extra}"' in value}
        assert listed == required(f"requirements-{extra}.txt")


def test_its_command_is_quiet_on_ctrl_c_before_anything_else_is_imported(wheel):
    with zipfile.ZipFile(wheel) as file:
        [scripts] = [file.read(name).decode() for name in file.namelist() if name.endswith("entry_points.txt")]
    assert "ml-api = ml_api.__main__:main" in scripts


def test_installed_it_gives_the_command(wheel, tmp_path):
    """In an environment of its own, which sees the libraries of this one; started away from the checkout."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    [packages] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")))
    command = [str(tmp_path / "venv" / "bin" / "ml-api")]

    def run(*arguments):
        return subprocess.run(
            command + list(arguments), cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=False
        )

    shown = run("serve", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "usage: ml-api serve" in shown.stdout
    refused = run("sync", "nowhere")
    assert refused.returncode == 2
    assert refused.stderr == f"error: DIR: nowhere is not a folder: there is no {tmp_path / 'nowhere'}\n"
    page = "import ml_api.web as web; print((web.blueprint.root_path))"
    where = subprocess.run([str(python), "-c", page], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=60, check=True)
    assert str(packages) in where.stdout
