"""Write the client for threads from the one for asyncio and trio: `.venv/bin/python scripts/client_twin.py`.

A test compares the file with what this would write.
"""  # noqa: INP001 - a program, in no package

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ASYNC = ROOT / "client" / "ml_api_client" / "async_client.py"
TWIN = ASYNC.with_name("client.py")
HEAD = '"""The client for threads. Written by scripts/client_twin.py from async_client.py; not to be edited."""'
WORDS = (
    (r"asyncio and trio, and their tasks", "threads"),
    (r"Awaitable\[(\w+)\]", r"\1"),
    (r"\b(async|await) ", ""),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\bAsync(\w+)|\basync_(\w+)", r"\1\2"),
    (r"\banyio\b", "time"),
    (r"\A\"{3}.*?\"{3}", HEAD),
)
RULES = "F401,I,RUF100,UP028"
"""What ruff mends: unused and unsorted imports, noqa of what is gone, loops that only yield."""


def source() -> str:
    """Of the module, as ruff formats it."""
    text = ASYNC.read_text()
    for word, twin in WORDS:
        text = re.sub(word, twin, text)
    return _ruff("format", _ruff("check", text, "--fix", "--unsafe-fixes", "--select", RULES))


def _ruff(command: str, text: str, *options: str) -> str:
    called = [sys.executable, "-m", "ruff", command, "--quiet", *options, "--stdin-filename", str(TWIN), "-"]
    return subprocess.run(called, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout  # noqa: S603 - our own


if __name__ == "__main__":
    TWIN.write_text(source())
    sys.stdout.write(f"wrote {TWIN.relative_to(ROOT)}\n")
