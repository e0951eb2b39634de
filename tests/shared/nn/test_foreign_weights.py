"""Weights of the research code's detector: read without running anything, and run as they were run there."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops import FrozenBatchNorm2d
from torchvision.transforms import v2

from shared.domain.schema import Box
from shared.errors import Reject
from shared.nn.detector import load_detector, predict
from shared.nn.foreign_weights import import_detector

FEW = 60
SIDE = 256  # that torchvision makes of 1024, where 800 would take long


def theirs() -> FasterRCNN:
    """The network of the research code: torchvision's for COCO, with a head of five classes.

    Built from the parts that torchvision takes when it loads its COCO weights (frozen normalisations whose epsilon is
    then set to 0), for those weights are not needed.
    """
    frozen = partial(FrozenBatchNorm2d, eps=0.0)
    model = FasterRCNN(
        resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=frozen, trainable_layers=3),
        num_classes=91,
    )
    model.roi_heads.box_predictor = FastRCNNPredictor(1024, 5)
    return model


@pytest.fixture(scope="module")
def network() -> FasterRCNN:
    torch.manual_seed(5)
    model = theirs().eval()
    with torch.no_grad():
        model.roi_heads.box_predictor.cls_score.weight.mul_(40)  # else no class is ever sure
        model.roi_heads.box_predictor.cls_score.bias[0] = -1
    return model


@pytest.fixture(scope="module")
def folder(network: FasterRCNN, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "best.pth"
    torch.save({"model_state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, file)
    assert import_detector(file, file.parent / "comix") == sum(value.numel() for value in network.parameters())
    return file.parent / "comix"


def page() -> NDArray[np.uint8]:
    """A page of 600 × 900 with two framed pictures on white."""
    made = np.full((900, 600, 3), 255, np.uint8)
    noise = np.kron(np.random.default_rng(0).integers(0, 256, (40, 27, 3)), np.ones((10, 20, 1)))
    made[30:430, 30:570] = noise.astype(np.uint8)
    made[470:870, 30:570] = noise[::-1].astype(np.uint8) // 2
    return made


@torch.no_grad()
def as_in_research(model: FasterRCNN, image: NDArray[np.uint8]) -> list[tuple[int, float, tuple[float, ...]]]:
    """(label, score, x, y, w, h in page pixels) above .5, as the research code comes to them, but for `int()`."""
    transform = v2.Compose(
        [v2.Resize((1024, 1024)), v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.ToPureTensor()]
    )
    found = model([transform(Image.fromarray(image))])[0]
    across, down = image.shape[1] / 1024, image.shape[0] / 1024
    return [
        (label, score, (x0 * across, y0 * down, (x1 - x0) * across, (y1 - y0) * down))
        for (x0, y0, x1, y1), label, score in zip(
            found["boxes"].tolist(), found["labels"].tolist(), found["scores"].tolist(), strict=True
        )
        if score > 0.5
    ]


def test_a_page_is_seen_as_the_research_code_saw_it(network: FasterRCNN, folder: Path) -> None:
    ours, config = load_detector(folder)
    told = ("min_size", "max_size", "image_mean", "image_std")
    assert [getattr(ours.transform, name) for name in told] == [getattr(network.transform, name) for name in told]
    for model in (network, ours):  # a network that has learnt nothing proposes as many boxes as it may
        model.transform.min_size = (SIDE,)
        model.rpn._pre_nms_top_n = model.rpn._post_nms_top_n = {"training": FEW, "testing": FEW}
    expected = as_in_research(network, page())
    found = predict(ours, [page()], config=config)[0]
    sure = [o for o in found if o.score > 0.5]
    assert len(expected) > 5
    assert len(sure) == len(expected)
    for label, score, box in expected:
        nearest = min(sure, key=lambda o: max(abs(a - b) for a, b in zip(o.box, box, strict=True)))
        assert max(abs(a - b) for a, b in zip(nearest.box, box, strict=True)) < 1.0
        assert nearest.label == ("panel", "character", "text", "face")[label - 1]
        assert nearest.score == pytest.approx(score, abs=0.01)


def test_proposed_boxes_are_judged_where_they_are_on_the_squashed_page(folder: Path) -> None:
    ours, config = load_detector(folder)
    ours.rpn._post_nms_top_n = {"training": 1, "testing": 1}
    ours.transform.min_size = (SIDE,)
    for value in ours.roi_heads.box_predictor.parameters():  # every box stays where it is, and is anything
        torch.nn.init.zeros_(value)
    asked = Box(30, 470, 540, 400)
    found = predict(ours, [page()], config=config, floor=0.0, proposals=[[asked]])[0]
    assert min(max(abs(a - b) for a, b in zip(o.box, asked, strict=True)) for o in found) < 0.01


def _without(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != name}


HEAD = "roi_heads.box_predictor.cls_score.weight"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda state: state | {HEAD: torch.zeros(91, 1024)}, f"{HEAD} is 91 × 1024; comix takes 5 × 1024"),
        (lambda state: _without(state, HEAD), f"no tensor {HEAD}"),
        (lambda state: state | {"mask.weight": torch.zeros(1)}, "mask.weight"),
        (lambda state: state | {HEAD: torch.full((5, 1024), float("nan"))}, "numbers that are none"),
        (lambda state: state | {"epoch": 3}, "epoch is no tensor"),
        (lambda _: [1, 2], "no state dict"),
    ],
)
def test_what_is_wrong_is_said_by_the_tensors_name(
    network: FasterRCNN, tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], said: str
) -> None:
    shaped = {name: torch.zeros(()).expand(value.shape) for name, value in network.state_dict().items()}
    torch.save(spoil(shaped), tmp_path / "weights.pth")
    with pytest.raises(Reject, match=said.replace("(", r"\(")) as refused:
        import_detector(tmp_path / "weights.pth", tmp_path / "out")
    assert str(tmp_path) not in str(refused.value)
    assert not (tmp_path / "out").exists()


class Trap:
    """What a pickle of a stranger could do."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("sprung",)


def test_nothing_in_the_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model_state_dict": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "empty.pth").write_bytes(b"")
    for name in ("trap", "text", "empty", "absent"):
        with pytest.raises(Reject, match=name):
            import_detector(tmp_path / f"{name}.pth", tmp_path / "out")
    assert not (tmp_path / "sprung").exists()
