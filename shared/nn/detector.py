"""The panel detector at work: pages in, boxes with scores out; its weights on disk.

Classes are `OBJECT_LABELS`; a label's index is its position + 1, 0 is background.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.transform import resize_boxes
from torchvision.ops import batched_nms

from shared.domain.schema import Box, DetectedObject
from shared.errors import Reject
from shared.nn.detector_config import CONFIG, DetectorConfig, read_config, written
from shared.nn.detector_nets import build_detector
from shared.nn.files import write_durably

WEIGHTS = "detector.safetensors"
STRIDE = 32
LONGEST = 1600
SQUARE = 1024


def fitted_size(width: int, height: int, config: DetectorConfig) -> tuple[int, int]:
    """Width and height at which a page is shown to the network: its area or its side is the configuration's.

    With "aspect" the shape is kept and no side is over `LONGEST`.
    """
    if config.resize == "square":
        return SQUARE, SQUARE
    scale = min(math.sqrt(config.pixels / (width * height)), LONGEST / max(width, height))
    return max(STRIDE, round(width * scale)), max(STRIDE, round(height * scale))


@dataclass(frozen=True)
class Shown:
    """A page of `width` × `height` pixels as the network is shown it, RGB (h, w, 3).

    `proposals`, boxes in the page's pixels, are judged beside those that the network proposes itself.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    proposals: Sequence[Box] = ()


def shown(
    image: NDArray[np.uint8],
    config: DetectorConfig,
    *,
    width: int | None = None,
    height: int | None = None,
    proposals: Sequence[Box] = (),
) -> Shown:
    """An RGB page (H, W, 3) resized for the network; `width` and `height` are the page's where it was made smaller."""
    width, height = width or image.shape[1], height or image.shape[0]
    w, h = fitted_size(width, height, config)
    if (h, w) == image.shape[:2]:
        return Shown(image, width, height, proposals)
    # A copy where the pixels are somebody else's: torch takes none that it must not write to.
    own = image if image.flags.writeable and image.flags.c_contiguous else np.array(image, np.uint8, order="C")
    whole = torch.from_numpy(own).permute(2, 0, 1)[None]
    small = functional.interpolate(whole, size=(h, w), mode="bilinear", antialias=True, align_corners=False)
    return Shown(small[0].permute(1, 2, 0).contiguous().numpy(), width, height, proposals)


def predict(
    model: FasterRCNN,
    images: Sequence[NDArray[np.uint8]],
    *,
    config: DetectorConfig,
    mirror: bool = False,
    batch: int = 8,
    floor: float = 0.05,
    proposals: Sequence[Sequence[Box]] | None = None,
) -> list[list[DetectedObject]]:
    """Detected objects of each RGB page (H, W, 3), boxes in that page's pixels, best score first.

    `mirror` also looks at the mirrored page and averages the two answers; `floor` drops weaker scores; `proposals`,
    some boxes for each page, are judged by the box head beside those that the network proposes itself.
    """
    pages = [
        shown(image, config, proposals=asked)
        for image, asked in zip(images, proposals or [()] * len(images), strict=True)
    ]
    return predict_shown(model, pages, config=config, mirror=mirror, batch=batch, floor=floor)


@torch.inference_mode()
def predict_shown(
    model: FasterRCNN,
    pages: Sequence[Shown],
    *,
    config: DetectorConfig,
    mirror: bool = False,
    batch: int = 8,
    floor: float = 0.05,
    half: torch.dtype | None = None,
) -> list[list[DetectedObject]]:
    """The same of pages already resized; the trunk computes in `half` where one is given."""
    model.eval()
    device = next(model.parameters()).device
    # Only pages that become equally large share a batch: padding would let a page's answer depend on its neighbours.
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, page in enumerate(pages):
        groups.setdefault(page.pixels.shape, []).append(index)
    found: list[list[DetectedObject]] = [[] for _ in pages]
    for members in groups.values():
        for start in range(0, len(members), batch):
            part = members[start : start + batch]
            tensors = list(on_device([pages[index].pixels for index in part], device))
            extra = [_on_tensor(pages[k], t) for k, t in zip(part, tensors, strict=True)]
            outputs = predict_tensors(model, tensors, extra, half=half)
            if mirror:
                turned = [_mirrored(boxes, t.shape[-1]) for boxes, t in zip(extra, tensors, strict=True)]
                flipped = predict_tensors(model, [t.flip(-1) for t in tensors], turned, half=half)
                outputs = [_averaged(a, b, t.shape[-1]) for a, b, t in zip(outputs, flipped, tensors, strict=True)]
            for index, tensor, output in zip(part, tensors, outputs, strict=True):
                seen = (tensor.shape[-2], tensor.shape[-1])
                found[index] = _objects(output, (pages[index].height, pages[index].width), seen, config, floor)
    return found


def on_device(pixels: Sequence[NDArray[np.uint8]], device: torch.device) -> Tensor:
    """Equally large pages (h, w, 3) as floats (B, 3, h, w) in 0..1; what crosses to a GPU is bytes."""
    stacked = torch.from_numpy(np.stack(pixels))
    if device.type == "cuda":
        stacked = stacked.pin_memory().to(device, non_blocking=True)
    return stacked.to(device).permute(0, 3, 1, 2).float() / 255.0


def predict_tensors(
    model: FasterRCNN, tensors: list[Tensor], extra: Sequence[Tensor] = (), *, half: torch.dtype | None = None
) -> list[dict[str, Tensor]]:
    """The network's answers for equally large (3, h, w) in 0..1: boxes (N, 4) xyxy of its input, labels and scores.

    `extra`, for each some boxes like those, are judged beside its own proposals.
    """
    sizes = [(tensor.shape[-2], tensor.shape[-1]) for tensor in tensors]
    given, _ = model.transform(tensors)
    with torch.autocast(tensors[0].device.type, dtype=half, enabled=half is not None):
        features = model.backbone(given.tensors)
    if half is not None:  # positions need full precision
        features = {name: found.float() for name, found in features.items()}
    own, _ = model.rpn(given, features)
    asked = own
    if extra:
        asked = [
            torch.cat([proposed, resize_boxes(boxes, size, seen)])
            for proposed, boxes, size, seen in zip(own, extra, sizes, given.image_sizes, strict=True)
        ]
    judged, _ = model.roi_heads(features, asked, given.image_sizes)
    answered: list[dict[str, Tensor]] = model.transform.postprocess(judged, given.image_sizes, sizes)
    return answered


def _on_tensor(page: Shown, tensor: Tensor) -> Tensor:
    """A page's proposals as (N, 4) xyxy in the pixels of the network's input."""
    scale = torch.tensor([tensor.shape[-1] / page.width, tensor.shape[-2] / page.height]).repeat(2)
    corners = torch.tensor([(b.x, b.y, b.right, b.bottom) for b in page.proposals], dtype=torch.float32).reshape(-1, 4)
    return (corners * scale).to(tensor.device)


def _mirrored(boxes: Tensor, width: int) -> Tensor:
    turned = boxes.clone()
    turned[:, [0, 2]] = width - boxes[:, [2, 0]]
    return turned


def _averaged(plain: dict[str, Tensor], flipped: dict[str, Tensor], width: int) -> dict[str, Tensor]:
    """Two views of one page as one: matched boxes are averaged, a box seen in one view only keeps half its score."""
    boxes = _mirrored(flipped["boxes"], width)
    both = torch.cat([plain["boxes"], boxes])
    labels = torch.cat([plain["labels"], flipped["labels"]])
    scores = torch.cat([plain["scores"], flipped["scores"]])
    view = torch.cat([torch.zeros_like(plain["scores"]), torch.ones_like(flipped["scores"])])
    kept = batched_nms(both, scores, labels, 0.5)
    out_boxes, out_scores = [], []
    for k in kept.tolist():
        other = torch.nonzero((view != view[k]) & (labels == labels[k])).flatten()
        overlap = _overlaps(both[k], both[other])
        if len(other) and float(overlap.max()) >= 0.5:
            mate = other[int(overlap.argmax())]
            weight = torch.stack([scores[k], scores[mate]])
            out_boxes.append((torch.stack([both[k], both[mate]]) * weight[:, None]).sum(0) / weight.sum())
            out_scores.append(weight.mean())
        else:
            out_boxes.append(both[k])
            out_scores.append(scores[k] / 2)
    if not out_boxes:
        return {"boxes": both[:0], "labels": labels[:0], "scores": scores[:0]}
    return {"boxes": torch.stack(out_boxes), "labels": labels[kept], "scores": torch.stack(out_scores)}


def _overlaps(box: Tensor, others: Tensor) -> Tensor:
    low, high = torch.maximum(box[:2], others[:, :2]), torch.minimum(box[2:], others[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(-1) - shared
    return shared / area.clamp(min=1e-6)


def _objects(
    output: dict[str, Tensor],
    page: tuple[int, int],
    seen: tuple[int, int],
    config: DetectorConfig,
    floor: float,
) -> list[DetectedObject]:
    up, across = page[0] / seen[0], page[1] / seen[1]
    made = []
    for box, label, score in zip(
        output["boxes"].tolist(), output["labels"].tolist(), output["scores"].tolist(), strict=True
    ):
        if score < floor:
            continue
        x0, y0, x1, y1 = box[0] * across, box[1] * up, box[2] * across, box[3] * up
        name = config.labels[label - 1]
        made.append(DetectedObject(label=name, box=Box(x0, y0, x1 - x0, y1 - y0), score=min(1.0, score)))
    return sorted(made, key=lambda o: -o.score)


def save_detector(folder: Path, model: FasterRCNN, config: DetectorConfig, *, exact: bool = False) -> None:
    """Writes `detector.safetensors` (fp16, or as it is if `exact`) and `config.json` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.half() if value.is_floating_point() and not exact else value).contiguous()
        for name, value in model.state_dict().items()
    }
    write_durably(folder / WEIGHTS, save(state))
    write_durably(folder / CONFIG, written(config))


def load_detector(folder: Path) -> tuple[FasterRCNN, DetectorConfig]:
    """The network of a folder, ready to predict, and its configuration.

    Raises `Reject` when a file is missing, damaged or does not belong to the other.
    """
    config = read_config(folder)
    try:
        state = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise Reject(f"the detector's {WEIGHTS} is missing: run `make train-detector`") from error
    except SafetensorError as error:
        raise Reject(f"the detector's {WEIGHTS} is damaged: run `make train-detector`") from error
    model = build_detector(config)
    widened = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    try:
        model.load_state_dict(widened)
    except RuntimeError as error:
        raise Reject(f"{WEIGHTS} does not belong to {CONFIG}: run `make train-detector`") from error
    return model.eval(), config
