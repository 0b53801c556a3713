"""The index template as a strict judge of log lines: what Elasticsearch would refuse is refused here too.

`dynamic: strict` refuses unknown fields; a mapping refuses values of another kind. Stricter than Elasticsearch in one thing: it
would store the text "17" in a `long`, and here that is wrong.
"""

import ipaddress
import json
import re
from datetime import datetime
from pathlib import Path

TEMPLATE = Path(__file__).parents[1] / "monitoring" / "elasticsearch" / "index-template.json"


def load_template():
    return json.loads(TEMPLATE.read_text())["template"]["mappings"]


def types_of(mappings, prefix=""):
    """Every field's full name and type."""
    found = {}
    for name, mapping in mappings["properties"].items():
        if "properties" in mapping:
            found |= types_of(mapping, f"{prefix}{name}.")
        else:
            found[prefix + name] = mapping["type"]
    return found


def objections(line, types):
    """What Elasticsearch would have against a line (a flat or nested object): nothing, if all is well."""
    found = []
    for name, value in _leaves(line):
        if name not in types:
            found.append(f"{name} is not in the index template")
            continue
        values = value if isinstance(value, list) else [value]
        found += [f"{name}: {one!r} is no {types[name]}" for one in values if one is not None and not _JUDGES[types[name]](one)]
    return found


def _leaves(line, prefix=""):
    for name, value in line.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _is_date(value):
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value):
        return False
    return datetime.fromisoformat(value) is not None


def _is_address(value):
    try:
        return bool(ipaddress.ip_address(value))
    except ValueError:
        return False


def _is_text(value):
    return isinstance(value, str)


def _is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 3.4e38


_JUDGES = {
    "date": _is_date,
    "keyword": _is_text,
    "constant_keyword": _is_text,
    "wildcard": _is_text,
    "match_only_text": _is_text,
    "long": _is_whole,
    "float": _is_number,
    "ip": _is_address,
}
