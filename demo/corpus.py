"""`python -m demo.corpus DIR`: write the demonstration corpus, pictures and `metadata.jsonl`, always the same for a seed.

A marker beside the folder is written last of all and removed first of all, so a folder with a marker is whole.
"""

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from random import Random

from tqdm import tqdm

from demo.captions import NUMBERS, sentence
from demo.scenes import Group, Scene, Stream, draw, imagine
from demo.things import KINDS
from ml_api import logs

COUNT = 1500
SEED = 7
PIXELS = 256
JPEG_QUALITY = 89
METADATA = "metadata.jsonl"
# Below this many pictures a second process costs more to start than it saves.
WORTH_A_SECOND_PROCESS = 100
_log = logging.getLogger("demo.corpus")  # also where it is started as a program
# What the picture of the README shows must be there whatever the seed: two dogs in the snow, in each of these colours.
_PROMISED_COLOURS = ("brown", "black", "white", "red", "blue", "yellow", "orange", "purple")


@dataclass(frozen=True)
class Picture:
    """One file of the corpus: where it goes, what it shows, what is said about it."""

    key: str
    scene: Scene
    caption: str

    def line(self) -> str:
        """Its line of `metadata.jsonl`."""
        return json.dumps({"key": self.key, "caption": self.caption, "facts": self.scene.facts()})


def plan(count: int, seed: int) -> list[Picture]:
    """The pictures of the corpus of `seed`: the promised ones first, then `imagine`d ones."""
    random = Random(f"corpus {seed}")
    promised = [
        Scene((Group("dog", colour, 2),), "snow", None, 2 * random.getrandbits(30) + Stream.CORPUS) for colour in _PROMISED_COLOURS
    ]
    scenes = [*promised, *(imagine(random, Stream.CORPUS) for _ in range(count - len(promised)))][:count]
    return [Picture(_key(scene, number), scene, sentence(scene)) for number, scene in enumerate(scenes)]


def _key(scene: Scene, number: int) -> str:
    names = [f"{NUMBERS[g.count]}-{g.colour}-{KINDS[g.kind].nouns[0][g.count > 1]}" for g in scene.groups]
    slug = f"-{scene.relation}-".join(names)
    return f"{scene.setting}/{slug.removeprefix('a-').replace('-a-', '-')}-{number:04d}.jpg"


def version() -> str:
    """A digest of the code that decides the corpus, so that a changed drawing is never taken for an old one."""
    names = "backdrops captions corpus creatures garden household palette pen relevance scenes things vehicles"
    here = Path(__file__).parent
    return sha256(b"".join((here / f"{name}.py").read_bytes() for name in names.split())).hexdigest()[:16]


def marker_of(folder: Path) -> Path:
    """Beside the folder, as a sync would count it among the files that it leaves out."""
    return folder.with_name(f"{folder.name}.drawn.json")


def write_corpus(folder: Path, count: int = COUNT, seed: int = SEED) -> bool:
    """Write the corpus into `folder` unless it is there already; whether anything was written.

    Of what is in the folder, only pictures that an earlier corpus listed are removed.
    """
    marker = marker_of(folder)
    wanted = json.dumps({"seed": seed, "count": count, "version": version()}) + "\n"
    if (folder / METADATA).is_file() and marker.is_file() and marker.read_text() == wanted:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    marker.unlink(missing_ok=True)
    _remove_listed(folder)
    pictures = plan(count, seed)
    for sub in {picture.scene.setting for picture in pictures}:
        (folder / sub).mkdir(exist_ok=True)
    _draw_all(folder, pictures)
    _replace(folder / METADATA, "".join(picture.line() + "\n" for picture in pictures))
    _replace(marker, wanted)
    return True


def read_corpus(folder: Path) -> list[tuple[str, Scene]]:
    """The key and the facts of every picture that `folder` lists."""
    rows = [json.loads(line) for line in (folder / METADATA).read_text().splitlines()]
    return [(row["key"], Scene.from_facts(row["facts"])) for row in rows]


def _remove_listed(folder: Path) -> None:
    if not (folder / METADATA).is_file():
        return
    for key, _ in read_corpus(folder):
        (folder / key).unlink(missing_ok=True)
    (folder / METADATA).unlink()


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    partial.replace(path)


def _draw_all(folder: Path, pictures: list[Picture]) -> None:
    jobs = [(folder, picture) for picture in pictures]
    if len(jobs) < WORTH_A_SECOND_PROCESS:
        _report(map(_draw_one, jobs), len(jobs))
        return
    heeded = signal.signal(signal.SIGINT, signal.SIG_IGN)  # by the pool's processes from their start: this one ends them
    try:
        pool = get_context("spawn").Pool(min(4, os.cpu_count() or 1))
    finally:
        signal.signal(signal.SIGINT, heeded)
    with pool:
        _report(pool.imap_unordered(_draw_one, jobs, chunksize=16), len(jobs))


def _draw_one(job: tuple[Path, Picture]) -> None:
    folder, picture = job
    draw(picture.scene, PIXELS).save(folder / picture.key, quality=JPEG_QUALITY)


def _report(done: Iterable[None], total: int) -> None:
    """Follow the drawing: a bar for people, five lines for a log."""
    if sys.stderr.isatty():
        for _ in tqdm(done, total=total, unit="picture", desc="drawing"):
            pass
        return
    for number, _ in enumerate(done, start=1):
        if number % max(1, total // 5) == 0:
            _log.info("drawing: %s of %s pictures", f"{number:,}", f"{total:,}")


def main() -> None:
    """Parse the command line and write the corpus."""
    parser = argparse.ArgumentParser(prog="python -m demo.corpus", description="Write the demonstration corpus.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the pictures and metadata.jsonl go")
    parser.add_argument("--count", type=int, default=COUNT, help="how many pictures (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="which corpus (default: %(default)s)")
    options = parser.parse_args()
    logs.configure("info", "development", sys.stderr)
    written = write_corpus(options.folder, options.count, options.seed)
    event = "corpus written" if written else "corpus already there"
    print(json.dumps({"event": event, "count": options.count, "seed": options.seed}))


if __name__ == "__main__":
    main()
