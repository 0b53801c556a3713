"""How names are written in settings. Each check raises ValueError with a message for who wrote it."""

import re


def collection(value: str) -> str:
    """What Milvus takes for the alias of a collection, and no longer than leaves room for what it is an alias of."""
    if not re.fullmatch(r"[A-Za-z_]\w{0,99}", value, re.ASCII):
        raise ValueError("must be a name of 1 to 100 letters (A-Z, a-z), digits and underscores that begins with no digit")
    return value


def database(value: str) -> str:
    if not re.fullmatch(r"\w*", value, re.ASCII):
        raise ValueError("must be a name of letters (A-Z, a-z), digits and underscores")
    return value


def label(value: str) -> str:
    """Of a deployment or a build."""
    if not re.fullmatch(r"[\w.-]{1,64}", value):
        raise ValueError("must be 1 to 64 letters, digits, dots, hyphens and underscores")
    return value
