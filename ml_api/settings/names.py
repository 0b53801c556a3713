"""Syntax of names in settings. Each check raises ValueError with a message for the user."""

import re


def collection(value: str) -> str:
    """A valid Milvus alias, short enough that the collection's name, which is longer, is valid, too."""
    if not re.fullmatch(r"[A-Za-z_]\w{0,99}", value, re.ASCII):
        raise ValueError("must be a name of 1 to 100 letters (A-Z, a-z), digits and underscores that begins with no digit")
    return value


def database(value: str) -> str:
    if not re.fullmatch(r"\w*", value, re.ASCII):
        raise ValueError("must be a name of letters (A-Z, a-z), digits and underscores")
    return value


def label(value: str) -> str:
    """The name of a deployment or a build."""
    if not re.fullmatch(r"[\w.-]{1,64}", value):
        raise ValueError("must be 1 to 64 letters, digits, dots, hyphens and underscores")
    return value
