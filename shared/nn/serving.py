"""A loaded detector made ready to answer: on its device, laid out for it, and as many pages at once as fit there."""

import torch
from torchvision.models.detection import FasterRCNN

from shared.nn.detector_config import DetectorConfig
from shared.nn.efficientnet_lite import EfficientNetLite

# Bytes reserved for each pixel shown to the network, an estimate on the safe side; share of the free memory used.
PIXEL_BYTES, SHARE, MOST = 4096, 0.5, 32
# Compute capability from which a GPU without bfloat16 is fast in float16 (Volta).
FAST_HALF = (7, 0)


def ready(model: FasterRCNN, device: str) -> FasterRCNN:
    """The model to predict with, changed in place; it must not train any more."""
    model.eval().requires_grad_(False)
    for part in model.modules():
        if isinstance(part, EfficientNetLite):
            part.fold()
    return model.to(device=torch.device(device), memory_format=torch.channels_last)


def half_of(device: str) -> torch.dtype | None:
    """The half precision that a GPU is fast in; None where full precision is kept, as on processors.

    bfloat16 on processors with AMX takes two thirds of the time (97 ms a page of 156) and finds the same panels on made
    pages, but one box in twenty moves by 12 pixels or more: what is found would depend on the machine.
    """
    if torch.device(device).type != "cuda":
        return None
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float16 if torch.cuda.get_device_capability(device) >= FAST_HALF else None


def pages_at_once(device: str, config: DetectorConfig) -> int:
    """How many pages make a batch: one on a processor, where more are no faster, else what free memory allows."""
    if torch.device(device).type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(torch.device(device))
    return max(1, min(MOST, int(SHARE * free / (PIXEL_BYTES * config.pixels))))
