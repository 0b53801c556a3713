"""Decides which keys an image may have, and which of them a listing shows. A key is a path below the root of a corpus, with forward
slashes."""

from collections.abc import Iterator

from ml_api.corpus.base import PassedOver, is_image, no_file
from ml_api.corpus.ignoring import IgnoreRules
from ml_api.errors import InvalidKey

MAX_OBJECT_KEY_BYTES = 1024
"""Longest key of an object in a bucket, in bytes of UTF-8
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html). New keys in a folder have the same limit."""

SHOWN_CHARACTERS = 80


def no_path(key: str) -> str:
    """Why no file in a folder can have this key; "" if one can. Object stores take keys of any form."""
    if not key:
        return "it is empty"
    if "\0" in key:
        return "it has a NUL character"
    if key.startswith("/"):
        return "it begins with a slash; it is relative to the corpus"
    parts = key.split("/")
    if "" in parts:
        return "it has an empty part: a slash at the end, or two in a row"
    if "." in parts or ".." in parts:
        return "it has a part '.' or '..'"
    return ""


def require_image(key: str) -> None:
    """Raise NotFound for a key of a form that no listing shows. Stored images may have such keys, as imports accept any."""
    if no_path(key) or not is_image(key) or any(part.startswith(".") for part in key.split("/")):
        raise no_file(key)


class Selection:
    """Selects the keys that belong to the corpus, by the key alone: no hidden names, no ignored ones, endings of images."""

    def __init__(self, rules: IgnoreRules) -> None:
        self._rules = rules
        self._clear = ""
        """The last folder that passed the rules, which is not checked again: most keys are in the same folder as the one before."""

    def passed_over(self, key: str) -> tuple[PassedOver, str] | None:
        """Why a listing leaves out the file with this key, and the key of the file or folder (with a slash) that the rule is about;
        None if the file is listed."""
        for folder in self._folders_to_judge(key):
            if _name(folder).startswith("."):
                return PassedOver.HIDDEN, folder
            if self._rules.ignores(folder):
                return PassedOver.IGNORED, folder
        self._clear = key[: key.rfind("/") + 1]
        if _name(key).startswith("."):
            return PassedOver.HIDDEN, key
        if not is_image(key):
            return PassedOver.OTHER_ENDING, key
        return (PassedOver.IGNORED, key) if self._rules.ignores(key) else None

    def require(self, key: str) -> None:
        """Raises InvalidKey, naming the rule, if the corpus lists no file with this key."""
        refuse(key, no_path(key) or self._why_not_listed(key))

    def require_new(self, key: str) -> None:
        """As `require`; also raises InvalidKey for keys that are listed where they exist, but should not be created."""
        refuse(key, _unwise(key))
        self.require(key)

    def _folders_to_judge(self, key: str) -> Iterator[str]:
        clear = self._clear  # read once: other threads change it
        if key.rfind("/") + 1 == len(clear) and key.startswith(clear):
            return
        end = key.find("/")
        while end >= 0:
            yield key[: end + 1]
            end = key.find("/", end + 1)

    def _why_not_listed(self, key: str) -> str:
        if (passed_over := self.passed_over(key)) is None:
            return ""
        why, place = passed_over
        match why:
            case PassedOver.HIDDEN:
                return f"the name {_name(place)!r} begins with a dot, and hidden files are not listed"
            case PassedOver.OTHER_ENDING:
                return "its ending is not that of an image"
        return f"{place!r} is ignored here (ML_API_IGNORE, ML_API_INCLUDE, .mlapiignore and folders of systems)"


def refuse(key: str, problem: str) -> None:
    """Raise InvalidKey unless `problem` is ""."""
    if problem:
        shown = key[:SHOWN_CHARACTERS] + ("…" if len(key) > SHOWN_CHARACTERS else "")
        raise InvalidKey(f"no image can have the key {shown!r}: {problem}")


def _unwise(key: str) -> str:
    """Why no new image should have this key; "" if it may."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if size > MAX_OBJECT_KEY_BYTES:
        return f"it has {size:,} bytes; at most {MAX_OBJECT_KEY_BYTES:,} are allowed"
    if any(ord(character) < 32 or ord(character) == 127 for character in key):
        return "it has a control character, such as NUL or a line break"
    return ""


def _name(key: str) -> str:
    return key.rstrip("/").rpartition("/")[2]
