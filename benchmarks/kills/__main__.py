"""kill -9 at random moments: of commands (extract, sync, import, migrate) and of services that follow a folder, take uploads or
change their model; and a server of the store that is away for a minute.

`python -m benchmarks.kills [--count 20] [--seed 1] [WAY …]`, where `-server` at the end of a way has a real Milvus server keep the
vectors: `import`, `import-server`.

After each kill the command is run again to its end (or the service is started again), and what is there then is compared with what
an uninterrupted run leaves: every image once, with its vector, nothing else, and of what was acknowledged everything. The first
difference ends the program. tests/e2e/test_kills.py runs a few of each.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.kills import commands, services
from benchmarks.kills.ground import Ground
from tests.servers.milvus import MilvusServer

WAYS: Final[dict[str, Callable[[Ground, int], int]]] = {
    "extract": lambda ground, count: commands.extract(ground, count, "v.parquet"),
    "extract-numpy": lambda ground, count: commands.extract(ground, count, "v"),
    "sync": commands.sync,
    "import": commands.import_,
    "migrate": commands.migrate,
    "switch": services.switch,
    "upload": services.upload,
    "watch": services.watch,
}
SERVER: Final = "-server"
ON_SERVER: Final = WAYS | {"outage": services.outage}


@contextmanager
def ground_for(way: str, seed: int) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, chance = Path(name), random.Random(seed)  # noqa: S311 - no secret
        if not way.endswith(SERVER):
            yield Ground(folder, chance)
            return
        (folder / "milvus").mkdir()
        server = MilvusServer(folder / "milvus")
        server.start()
        try:
            yield Ground(folder, chance, milvus=server)
        finally:
            server.kill()


def main() -> None:
    ways = [*WAYS, *(f"{name}{SERVER}" for name in ON_SERVER if not name.startswith("extract"))]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(ways)}; default: all")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for way in options.ways or ways:
        started = time.monotonic()
        with ground_for(way, options.seed) as ground:
            running = ON_SERVER[way.removesuffix(SERVER)](ground, options.count)
        took_s = time.monotonic() - started
        print(f"{way}: {options.count} times, {running} kills of what ran; all whole; {took_s:.0f} s", flush=True)


if __name__ == "__main__":
    main()
