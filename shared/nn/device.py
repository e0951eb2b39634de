"""Which torch device to use."""

import torch

from shared.errors import Reject


def pick_device(wanted: str) -> str:
    """`auto` becomes the best device there is; anything else is checked and kept. Reject when it is not there."""
    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:
        raise Reject(f"The device {wanted} is not available here; set COMICS_DEVICE to auto or cpu.") from error
    return wanted
