"""Coroutines in tests. A browser's test may have left an event loop running in pytest's thread, so they run in one of their own."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def run(scenario):
    """The result of a coroutine."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, scenario).result()
