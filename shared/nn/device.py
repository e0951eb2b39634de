"""Which torch device to use, and how."""

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


def fast_in_half(device: str) -> bool:
    """Whether a device computes in bfloat16 itself; where it does not, bfloat16 is slower than float32."""
    kind = torch.device(device).type
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return kind == "cpu" and bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
