"""What a process that ours starts does about its end: nobody is left to stop it once its parent is gone."""

import ctypes
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """From now on the kernel kills this process when its parent ends, however it does (prctl(2); Linux only).

    The parent is the thread that started this process: it has to wait for it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
