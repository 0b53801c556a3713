"""The types that the page's JavaScript states in its comments hold."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv" / "page-tools" / "node_modules"
SETTINGS = ROOT / "tests" / "e2e" / "page" / "tools" / "tsconfig.json"


def compiler():
    """TypeScript's program itself: the one in `.bin` would need node to start it."""
    [program] = (TOOLS / "@typescript").glob("*/lib/tsc")
    return program


def checked(settings):
    return subprocess.run([compiler(), "--project", settings], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_page_is_free_of_type_errors():
    assert checked(SETTINGS).stdout == ""


@pytest.mark.parametrize("wrong", ['find(document, "#q");', "/** @type {number} */ export const count = 'one';"])
def test_a_type_error_would_be_found(tmp_path, wrong):
    (tmp_path / "wrong.js").write_text(f'import {{ find }} from "{ROOT}/ml_api/web/static/element.js";\n{wrong}\n')
    (tmp_path / "tsconfig.json").write_text(f'{{"extends": "{SETTINGS}", "include": ["{tmp_path}/wrong.js"]}}')
    assert "wrong.js(2" in checked(tmp_path / "tsconfig.json").stdout
