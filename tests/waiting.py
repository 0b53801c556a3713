"""Waiting for what other threads and processes do: a condition is asked again and again until it is true."""

import time

PATIENCE_S = 60
"""On a machine that does much else. What is promised within a time is measured, not waited for."""


def wait_until(condition, timeout_s=PATIENCE_S, otherwise="nothing came of it"):
    """What `condition` gives as soon as that is true. Fails with `otherwise` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{otherwise} after {timeout_s} s"
        time.sleep(0.02)
    return found
