"""The names of settings as environment variables and options, and the table of all settings in docs/settings.md."""

from typing import Any, Final

from ml_api.settings.model import Settings

PREFIX: Final = "ML_API_"


def environment_name(field: str) -> str:
    return PREFIX + field.upper()


def option_name(field: str) -> str:
    return "--" + field.replace("_", "-")


def settings_table() -> str:
    """Every setting as a row of a Markdown table, in the order of their declaration: the one in docs/settings.md."""
    rows = ["| Variable | Default | Values | Meaning |", "|---|---|---|---|"]
    for field, schema in Settings.model_json_schema()["properties"].items():
        default = schema.get("default")
        cells = (
            f"`{environment_name(field)}`",
            f"`{default}`" if default not in (None, "") else "",
            values_of(schema),
            schema["description"],
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def values_of(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    least, above, most = (schema.get(bound) for bound in ("minimum", "exclusiveMinimum", "maximum"))
    if most is None:
        return "yes or no" if schema.get("type") == "boolean" else "text"
    return f"{least:,} to {most:,}" if least is not None else f"over {above:,}, to {most:,}"
