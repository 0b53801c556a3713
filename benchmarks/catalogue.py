"""What a large catalogue costs: memory and time to read and join it, beside a small one and beside a mapping of its rows.

    python -m benchmarks.catalogue [rows]

Each figure comes from a process of its own. The mapping is what `csv.DictReader` gives, kept by key.
"""

import csv
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ml_api.corpus.metadata import Catalogue, read_metadata

ROWS = 1_000_000
FEW = 10_000
ASKED = 10_000


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        idle, _ = measured("read", "-")
        print(f"{'rows':>10} {'format':>8} {'read by':>8} {'memory':>10} {'seconds':>8}   memory beyond the imports")
        for ending in ("csv", "parquet"):
            for number in (FEW, rows):
                path = write(folder / f"{number}.{ending}", number)
                for how in ("read", "mapping") if ending == "csv" else ("read",):
                    peak, seconds = measured(how, str(path))
                    print(f"{number:>10,} {ending:>8} {how:>8} {peak - idle:>6.0f} MiB {seconds:>8.1f}")


def write(path: Path, rows: int) -> Path:
    """Product rows: id, name, price, a date, a flag."""
    columns = {
        "product_id": [f"P{number:08}" for number in range(rows)],
        "name": [f"product number {number} in the colour {number % 97}" for number in range(rows)],
        "price": [number % 10_000 / 100 for number in range(rows)],
        "since": [f"20{number % 25 + 1:02}-01-{number % 28 + 1:02}" for number in range(rows)],
        "in_stock": [number % 3 > 0 for number in range(rows)],
    }
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    return path


def measured(how: str, path: str) -> tuple[float, float]:
    """Peak MiB and processor seconds of a process that reads the catalogue and asks for some keys."""
    command = [sys.executable, "-m", "benchmarks.catalogue", "--child", how, path]
    peak, seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()  # noqa: S603 - our own
    return float(peak), float(seconds)


def child(how: str, path: str) -> None:
    started = time.process_time()
    if path.endswith(".parquet"):
        import pyarrow.parquet  # noqa: F401 - of the format, not of the rows

        started = time.process_time()
    if path != "-" and how == "mapping":
        with open(path, newline="") as file:  # noqa: PTH123 - as a reader would
            by_key = {row["product_id"]: row for row in csv.DictReader(file)}
        assert all(by_key[f"P{number:08}"] for number in range(ASKED))
    elif path != "-":
        with read_metadata(nothing, Catalogue(path)) as metadata:
            assert all(metadata.of(f"shop/P{number:08}.jpg") for number in range(ASKED))
    used = time.process_time() - started
    # Not ru_maxrss, in which the parent's memory counts.
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    print(int(peak[1]) / 1024, used)


def nothing(name: str) -> BinaryIO:
    raise FileNotFoundError(name)


if __name__ == "__main__":
    child(*sys.argv[2:]) if sys.argv[1:2] == ["--child"] else main()
