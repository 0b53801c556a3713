"""For several images at once, find those most like each: `python alike.py URL FILE...`."""

import asyncio
import sys
from pathlib import Path

from ml_api_client import AsyncClient


async def main(url: str, *files: str) -> None:
    async with AsyncClient(url) as client:
        answers = await asyncio.gather(*(client.search_by_image(Path(file), limit=1) for file in files))
    for file, answer in zip(files, answers, strict=True):
        print(Path(file).name, "->", answer.hits[0].key)


asyncio.run(main(*sys.argv[1:]))
