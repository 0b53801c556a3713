"""Browsers that Playwright cannot drive: Debian's Firefox and WebKitGTK, the engine of Safari. Both know the W3C's WebDriver."""

import itertools
import json
import os
import shutil
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from monitoring.local.launcher import DIRECTLY, HOST, ServerProcess, free_port, listens

TIMEOUT_S = 60
SHIFT = "\ue008"
ESCAPE = "\ue00c"
FIREFOX_SETTINGS = """\
user_pref("marionette.port", {port});
user_pref("ui.primaryPointerCapabilities", 6);
user_pref("ui.allPointerCapabilities", 6);
"""
"""With a mouse, which the headless one has not."""
WEBKIT_PATHS = {
    "Navigate": "url",
    "Back": "back",
    "ExecuteScript": "execute/sync",
    "PerformActions": "actions",
    "SetWindowRect": "window/rect",
}
MIDDLE_OF = """
    const shown = document.querySelectorAll(arguments[0])[arguments[1]];
    shown.scrollIntoView({ block: "center" });
    const { left, top, width, height } = shown.getBoundingClientRect();
    return [Math.round(left + width / 2), Math.round(top + height / 2)];
"""


class Browser:
    """`command` is called with a name of the standard, as Firefox writes it, and parameters; it raises what the browser refuses."""

    def __init__(self, command: Callable[..., Any]) -> None:
        self._command = command

    def open(self, url: str) -> None:
        """Returns when the page is loaded."""
        self._command("Navigate", url=url)

    def back(self) -> None:
        self._command("Back")

    def resize(self, width: int, height: int) -> None:
        self._command("SetWindowRect", width=width, height=height)

    def run(self, script: str, *given: object) -> Any:
        """What the script returns of its `arguments`."""
        return self._command("ExecuteScript", script=script, args=given)

    def press(self, keys: str) -> None:
        self._keys(*(change for key in keys for change in (("keyDown", key), ("keyUp", key))))

    def click(self, selector: str, at: int = 0, *, shift: bool = False) -> None:
        """The middle of what matches, as a mouse does."""
        x, y = self.run(MIDDLE_OF, selector, at)
        if shift:
            self._keys(("keyDown", SHIFT))
        moves = [{"type": "pointerMove", "x": x, "y": y}, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves}
        self._command("PerformActions", actions=[mouse])
        if shift:
            self._keys(("keyUp", SHIFT))

    def _keys(self, *changes: tuple[str, str]) -> None:
        actions = [{"type": kind, "value": key} for kind, key in changes]
        self._command("PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])


@contextmanager
def firefox(folder: Path) -> Iterator[Browser]:
    """By Marionette, its own protocol below WebDriver: JSON over a socket, which needs no geckodriver."""
    program = found("firefox-esr", "firefox", packages="firefox-esr")
    port = free_port()
    (folder / "user.js").write_text(FIREFOX_SETTINGS.format(port=port))
    command = [program, "--headless", "--marionette", "--no-remote", "--profile", folder]
    with (
        ServerProcess(command, partial(listens, port), log=folder / "log"),
        socket.create_connection((HOST, port), TIMEOUT_S) as connection,
        connection.makefile("rb") as answers,
    ):
        numbers = itertools.count()

        def read() -> Any:
            length = b"".join(iter(lambda: answers.read(1), b":"))
            return json.loads(answers.read(int(length)))

        def ask(name: str, **parameters: object) -> Any:
            text = json.dumps([0, next(numbers), f"WebDriver:{name}", parameters]).encode()
            connection.sendall(b"%d:%s" % (len(text), text))
            _, _, error, result = read()
            assert error is None, error
            return result.get("value")

        read()  # a greeting
        ask("NewSession")
        yield Browser(ask)


@contextmanager
def webkit(folder: Path) -> Iterator[Browser]:
    """By WebKitWebDriver, with a window on a screen that nobody sees."""
    driver = found("WebKitWebDriver", packages="webkit2gtk-driver")
    screen = found("Xvfb", packages="xvfb")
    number, port = free_port(), free_port()
    env = os.environ | {"DISPLAY": f":{number}", "GDK_BACKEND": "x11"}
    with (
        ServerProcess([screen, f":{number}", "-nolisten", "tcp"], Path(f"/tmp/.X11-unix/X{number}").exists, log=folder / "screen"),
        ServerProcess([driver, f"--port={port}", f"--host={HOST}"], partial(listens, port), env=env, log=folder / "log"),
    ):

        def ask(path: str, method: str = "POST", **parameters: object) -> Any:
            body = json.dumps(parameters).encode() if method == "POST" else None
            request = urllib.request.Request(f"http://{HOST}:{port}/session{path}", body, method=method)
            with DIRECTLY.open(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)["value"]

        session = f"/{ask('', capabilities={})['sessionId']}"
        try:
            yield Browser(lambda name, **parameters: ask(f"{session}/{WEBKIT_PATHS[name]}", **parameters))
        finally:
            ask(session, "DELETE")


def found(*programs: str, packages: str) -> str:
    path = next(filter(None, map(shutil.which, programs)), None)
    if path is None:
        pytest.skip(f"needs the program {programs[0]} (Debian package {packages})")
    return path
