"""Write the client's models from the answers that the API documents: `.venv/bin/python scripts/client_models.py`.

A test compares the file with what this would write.
"""  # noqa: INP001 - a program, in no package

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from ml_api.api import schemas  # noqa: E402 - found by the line above
from ml_api.api.openapi import component_schemas  # noqa: E402

MODELS = ROOT / "client" / "ml_api_client" / "models.py"
HEAD = '''"""What the service answers. Written by scripts/client_models.py from the models of the API; not to be edited.

Fields that a newer service adds are ignored; those that may be null are None where an older service has none.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)
'''
SIMPLE = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
WIDTH = 120


def source() -> str:
    """Of the module, as ruff formats it."""
    definitions, done = component_schemas(), list[str]()
    for model in schemas.ANSWERS:
        _collect(model.__name__, definitions, done)
    classes = "\n\n".join("\n".join(_class(name, definitions[name])) for name in done)
    command = [sys.executable, "-m", "ruff", "format", "--config", str(ROOT / "pyproject.toml"), "-"]
    made = subprocess.run(command, input=f"{HEAD}\n\n{classes}\n", capture_output=True, text=True, check=True)  # noqa: S603 - our own
    return made.stdout


def _collect(name: str, definitions: dict[str, Any], done: list[str]) -> None:
    """What a model refers to comes before it."""
    if name in done or "properties" not in definitions[name]:
        return
    for other in _references(definitions[name]):
        _collect(other, definitions, done)
    done.append(name)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _class(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"class {name}(Model):"
    if told := schema.get("description"):
        yield f'    """{told}"""\n'
    # An older service may lack what may be null, or has a default.
    fields = schema["properties"]
    required = {name for name in schema.get("required", ()) if not _may_be_missing(fields[name])}
    for field, described in sorted(fields.items(), key=lambda item: item[0] not in required):
        yield _field(field, described, is_required=field in required)
        if told := described.get("description"):
            wrapped = textwrap.wrap(f'"""{told}', WIDTH)
            yield textwrap.indent("\n".join(wrapped) + ('\n"""' if len(wrapped) > 1 else '"""'), "    ")


def _may_be_missing(schema: dict[str, Any]) -> bool:
    return "default" in schema or "None" in _kind(schema).split(" | ")


def _field(name: str, schema: dict[str, Any], *, is_required: bool) -> str:
    python = f"{name}_" if iskeyword(name) or name == "self" else name
    kind = _kind(schema)
    if not is_required and "default" not in schema and "None" not in kind.split(" | "):
        kind += " | None"
    default = "..." if is_required else repr(schema.get("default"))
    if python != name:
        return f"    {python}: {kind} = Field({default}, alias={name!r})"
    return f"    {python}: {kind}" if is_required else f"    {python}: {kind} = {default}"


def _kind(schema: dict[str, Any]) -> str:
    kind = "Any"
    match schema:
        case {"$ref": ref}:
            name = ref.rpartition("/")[2]
            definition = component_schemas()[name]
            kind = name if "properties" in definition else _kind(definition)
        case {"anyOf": kinds} | {"oneOf": kinds}:
            kind = " | ".join(dict.fromkeys(map(_kind, kinds)))
        case {"type": "array"}:
            kind = f"list[{_kind(schema.get('items', {}))}]"
        case {"type": "object"}:
            values = schema.get("additionalProperties")
            kind = f"dict[str, {_kind(values) if isinstance(values, dict) else 'Any'}]"
        case {"type": str(name)}:
            kind = SIMPLE[name]
    return kind


if __name__ == "__main__":
    MODELS.write_text(source())
    sys.stdout.write(f"wrote {MODELS.relative_to(ROOT)}\n")
