"""`python -m demo`: draw the pictures, index them, serve them. `make demo` and `make monitor` start it.

It steps aside for whatever runs already, another demo included: to ports that are free, and to a data folder of its own. It takes
no settings of yours that choose a model, a store or a folder: those are for your own pictures.
"""

import argparse
import fcntl
import itertools
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from demo.corpus import COUNT, write_corpus
from ml_api import logs
from ml_api.errors import ConfigError
from ml_api.settings import Settings, environment_name, load_settings
from ml_api.settings.conditions import require_free_port

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "demo" / "model"
KEPT = {"host", "auth", "port", "metrics_port", "device", "precision", "threads", "log_level", "log_queries", "revision"}
"""Settings that a demo takes from the environment."""
LOCK = ".demo.lock"
PORTS = ("port", "metrics_port")
DEMOS = 10
"""As many cannot meet on a port, even when they start at once: the second takes 8421, or 8431, or 8441, …"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description="Draw the demonstration corpus, index it, serve it.")
    parser.add_argument("--monitor", action="store_true", help="with a real Prometheus and Alertmanager beside it")
    parser.add_argument("--count", type=int, default=COUNT, help="how many pictures (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=ROOT / "data", metavar="DIR", help="where the demo's folder goes")
    options = parser.parse_args()
    try:
        return _run(options.data.absolute(), options.count, ["monitoring.local"] if options.monitor else ["ml_api", "serve"])
    except KeyboardInterrupt:
        return 130
    except ConfigError as exc:
        print(*(f"error: {problem}" for problem in exc.problems), sep="\n", file=sys.stderr)
        return 2
    except OSError as exc:
        print(f"error: {exc.filename or 'the demo'}: {exc.strerror}", file=sys.stderr)
        return 1


def _run(parent: Path, pictures: int, server: list[str]) -> int:
    folder, number, lock = claim(parent)
    if number > 1:
        running = ", ".join(_running(parent, number))
        print(f"a demo is running already{f' at {running}' if running else ''}; this one is made in {folder}", file=sys.stderr)
    images = folder / "images"
    images.mkdir(exist_ok=True)
    ours = {"model": MODEL, "corpus": images, "data_dir": folder}
    environment = _environment() | {environment_name(field): str(value) for field, value in ours.items()}
    settings = load_settings(environment | _free_ports(environment, number), command="serve")  # before anything slow begins
    logs.configure(settings.log_level, settings.environment)
    write_corpus(images, pictures)
    os.chdir(folder)  # where there is no .env
    if synced := _awaited([sys.executable, "-m", "ml_api", "sync"], environment):
        return synced
    ports = _free_ports(environment, number)
    _tell(ports)
    port = ports.get(environment_name("port")) or environment[environment_name("port")]
    print(f"on the command line, in {ROOT}: {_searching(folder)}", file=sys.stderr)
    os.pwrite(lock, f"http://{settings.host}:{port}/\n".encode(), 0)
    return _become([sys.executable, "-m", *server], environment | ports)


def _searching(folder: Path) -> str:
    """The command that searches this demo: without its settings it would look for one's own pictures, and another model."""
    data, model, python = map(_from_root, (folder, MODEL, Path(sys.executable)))
    settings = f"{environment_name('data_dir')}={data} {environment_name('model')}={model}"
    return f'{settings} {python} -m ml_api search "two dogs in the snow"'


def _from_root(path: Path) -> str:
    return shlex.quote(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))


def _tell(ports: dict[str, str]) -> None:
    for field in PORTS:
        usual = str(Settings.model_fields[field].default)
        if (port := ports.get(environment_name(field), usual)) != usual:
            print(f"port {usual} is in use: {port} is taken in its place", file=sys.stderr)


def _awaited(command: list[str], environment: dict[str, str]) -> int:
    """Its exit code, or what a shell would give.

    A signal is for the command to answer, in its own time: a terminal's Ctrl-C reaches it anyway, SIGTERM is passed on.
    """
    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: object) -> None:
        for process in started:
            process.send_signal(number)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on),
    }
    try:
        started.append(subprocess.Popen(command, env=environment))  # noqa: S603 - ours
        code = started[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _running(parent: Path, number: int) -> list[str]:
    """The addresses of the demos that are served from the folders before this one."""
    locks = [_folder(parent, earlier) / LOCK for earlier in range(1, number)]
    return [address for lock in locks if (address := lock.read_text().strip())]


def _become(command: list[str], environment: dict[str, str]) -> NoReturn:
    os.execve(command[0], command, environment)  # noqa: S606 - ours


def claim(parent: Path) -> tuple[Path, int, int]:
    """A data folder that is this process's until it ends, whatever program it becomes; its number; the open file that locks it.

    They are called `demo`, `demo-2`, … The file tells the address, once it is served."""
    for number in itertools.count(1):
        folder = _folder(parent, number)
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        os.set_inheritable(lock, True)  # noqa: FBT003 - os has no keyword for it
        os.ftruncate(lock, 0)
        return folder, number, lock
    raise AssertionError


def _folder(parent: Path, number: int) -> Path:
    return parent / ("demo" if number == 1 else f"demo-{number}")


def _environment() -> dict[str, str]:
    kept = {environment_name(field) for field in KEPT}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_API_") or name in kept}
    return environment | {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))}


def _free_ports(environment: dict[str, str], number: int) -> dict[str, str]:
    """Variables for the ports that the environment does not choose: the usual ones, or others that are free."""
    host = environment.get(environment_name("host")) or Settings.model_fields["host"].default
    chosen = {}
    for field in PORTS:
        if not environment.get(environment_name(field)):
            usual = Settings.model_fields[field].default
            chosen[environment_name(field)] = str(_free_port(host, range(usual + number - 1, usual + 10 * DEMOS, DEMOS)))
    return chosen


def _free_port(host: str, ports: range) -> int:
    """The first if none is free: whatever needs it says what is wrong."""
    for port in ports:
        try:
            require_free_port(host, port)
        except ValueError:
            continue
        return port
    return ports[0]


if __name__ == "__main__":
    sys.exit(main())
