"""Models that many tests serve, converted once a checkout and not once a test: converting takes seconds."""

from pathlib import Path

from ml_api.embedding.openvino import ConvertedFiles

SHARED = ConvertedFiles(Path(__file__).parents[2] / ".cache" / "tests" / "models")


def converted_here(folder: Path) -> ConvertedFiles:
    """Made in the process of the tests, which has torch anyhow: a process of its own takes ten seconds to import it."""
    from ml_api.embedding.openvino.conversion import attempt  # imports torch, which most who import this do not need

    return ConvertedFiles(folder, convert=attempt)


def share_converted_models(data_dir: Path) -> None:
    """Let a service whose data lie in `data_dir` find them."""
    SHARED.folder.mkdir(parents=True, exist_ok=True)
    link = data_dir / "models"
    if data_dir.is_dir() and not link.exists():
        link.symlink_to(SHARED.folder)
