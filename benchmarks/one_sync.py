"""One sync with this process's own memory and threads, as the command has them: `python -m benchmarks.one_sync IMAGES MODEL`.

Prints images a second from the first batch written to the last flush: loading the model is not counted.
"""

import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from ml_api.cli.environment import configure_openmp
from ml_api.cores import usable
from ml_api.services import open_indexer
from ml_api.settings import Settings


def rate(images: Path, model: str) -> float:
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        settings = Settings(corpus=images, model=model, data_dir=Path(name))
        with open_indexer(settings) as indexer:
            marks: list[tuple[float, int]] = []
            report = indexer.run(indexer.plan(), lambda current: marks.append((perf_counter(), current.done)))
            started, already = marks[0]
            return (report.done - already) / (perf_counter() - started)


if __name__ == "__main__":
    configure_openmp(os.environ, usable())
    print(rate(Path(sys.argv[1]), sys.argv[2]))
