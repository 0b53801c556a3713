"""Pictures of what was measured, by matplotlib, which is needed for nothing else."""

import logging
from pathlib import Path
from typing import Any

from ml_api.errors import ConfigError

_log = logging.getLogger(__name__)


def pyplot_for(plot: Path | None) -> Any:
    """Before anything is measured; None if nothing is to be drawn. Raises ConfigError."""
    if plot is None:
        return None
    try:
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot as plt
    except ModuleNotFoundError as exc:
        raise ConfigError("--plot: matplotlib is not installed: pip install -r requirements-bench.txt -c constraints.txt") from exc
    return plt


def saved(pyplot: Any, figure: Any, path: Path) -> None:
    """Raises ConfigError."""
    figure.tight_layout()
    try:
        figure.savefig(path, dpi=130)
    except ValueError as exc:  # an ending that it does not know
        raise ConfigError(f"--plot: {path} must end in .png, .svg or .pdf") from exc
    finally:
        pyplot.close(figure)
    _log.info("wrote %s", path)
