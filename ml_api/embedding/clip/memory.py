"""Memory of a GPU, as torch sees it."""


def memory(device: str) -> dict[str, tuple[int, int]]:
    """Bytes in tensors on `device`, and bytes that torch keeps for them."""
    import torch

    return {device: (torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device))}
