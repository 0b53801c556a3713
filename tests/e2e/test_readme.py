"""The README's examples, run as they stand against a real server."""

import re
import subprocess

import pytest

from tests.e2e.server_process import ROOT

EXAMPLES = re.search(r"## Use it\n\n```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]


@pytest.mark.parametrize("example", EXAMPLES.strip().split("\n\n"), ids=lambda example: example.splitlines()[0].lstrip("# "))
def test_an_example_works_as_it_stands(server, demo_corpus, tmp_path, example):
    here = (
        example.replace("http://127.0.0.1:8420", server.url)
        .replace("data/demo/images", str(demo_corpus))
        .replace("/tmp/thumbnail", f"{tmp_path}/thumbnail")
    )
    script = "set -euo pipefail\n" + re.sub(r"\bcurl\b", "curl --silent --show-error --fail", here)
    result = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    if "-o " not in example:
        assert '"hits":[{' in result.stdout


def test_there_are_at_least_five_examples():
    assert len(re.findall(r"^curl", EXAMPLES, re.MULTILINE)) >= 5
