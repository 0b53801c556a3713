"""Waiting for what other threads and processes do: a condition is asked again and again until it is true."""

import time


def wait_until(condition, timeout_s=30, otherwise="nothing came of it"):
    """What `condition` gives as soon as that is true. Fails with `otherwise` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{otherwise} after {timeout_s} s"
        time.sleep(0.02)
    return found
