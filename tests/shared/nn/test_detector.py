from pathlib import Path

import numpy as np
import pytest
import torch

from shared.domain.geometry import iou
from shared.domain.schema import Box
from shared.errors import Reject
from shared.nn.detector import WEIGHTS, fitted_size, load_detector, predict, save_detector
from shared.nn.detector_config import CONFIG, DetectorConfig
from shared.nn.detector_nets import build_detector

TINY = DetectorConfig(width=4, fpn_channels=8, box_head=16, pixels=20_000)


def test_a_saved_detector_comes_back_and_sees_the_same(tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_detector(tmp_path, build_detector(TINY), TINY)
    first, config = load_detector(tmp_path)
    second, _ = load_detector(tmp_path)
    page = np.random.default_rng(0).integers(0, 256, (200, 150, 3), dtype=np.uint8)
    assert config == TINY
    assert predict(first, [page], config=config, floor=0.0) == predict(second, [page], config=config, floor=0.0)


def test_boxes_are_in_pixels_of_the_page_however_large_it_is(tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_detector(tmp_path, build_detector(TINY), TINY)
    model, config = load_detector(tmp_path)
    small = np.kron(np.random.default_rng(0).integers(0, 256, (20, 14, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    large = np.kron(small, np.ones((4, 4, 1), np.uint8))
    a = predict(model, [small], config=config, floor=0.0)[0]
    b = predict(model, [large], config=config, floor=0.0)[0]
    assert a
    assert max(o.box.right for o in b) == pytest.approx(4 * max(o.box.right for o in a), rel=0.05)


def test_a_page_is_seen_alike_whatever_pages_share_its_batch(tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_detector(tmp_path, build_detector(TINY), TINY)
    model, config = load_detector(tmp_path)
    noise = np.random.default_rng(0)
    page, wide = (noise.integers(0, 256, size, dtype=np.uint8) for size in ((200, 150, 3), (120, 300, 3)))
    alone = predict(model, [page], config=config, floor=0.0)[0]
    beside = predict(model, [wide, page, wide], config=config, floor=0.0)[1]
    assert np.allclose([o.box for o in alone], [o.box for o in beside], atol=1e-2)


def test_proposed_boxes_are_judged_beside_the_networks_own(tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_detector(tmp_path, build_detector(TINY), TINY)
    model, config = load_detector(tmp_path)
    model.rpn._post_nms_top_n = {"training": 1, "testing": 1}
    page = np.random.default_rng(0).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    asked = Box(150, 200, 120, 150)
    for mirror in (False, True):
        alone = predict(model, [page], config=config, floor=0.0, mirror=mirror)[0]
        judged = predict(model, [page], config=config, floor=0.0, mirror=mirror, proposals=[[asked]])[0]
        assert max((iou(asked, o.box) for o in alone), default=0.0) < 0.5
        assert max(iou(asked, o.box) for o in judged) > 0.6
    assert predict(model, [page], config=config, floor=0.0, proposals=[[]]) == predict(
        model, [page], config=config, floor=0.0
    )


@pytest.mark.parametrize("damage", ["missing", "cut", "foreign", "config"])
def test_damaged_weights_are_refused_with_a_remedy(tmp_path: Path, damage: str) -> None:
    save_detector(tmp_path, build_detector(TINY), TINY)
    weights = tmp_path / WEIGHTS
    if damage == "missing":
        weights.unlink()
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "foreign":
        other = TINY.model_copy(update={"width": 8})
        (tmp_path / CONFIG).write_text(other.model_dump_json())
    else:
        (tmp_path / CONFIG).write_text("{}x")
    with pytest.raises(Reject, match="make train-detector") as caught:
        load_detector(tmp_path)
    assert str(tmp_path) not in str(caught.value)


def test_the_large_backbone_can_be_built_from_the_same_config() -> None:
    with torch.device("meta"):
        model = build_detector(DetectorConfig(backbone="fasterrcnn_resnet50_fpn_v2"))
    assert sum(p.numel() for p in model.parameters()) > 40_000_000
    assert model.roi_heads.box_predictor.cls_score.out_features == 5


def test_the_network_looks_at_pages_in_the_configured_size() -> None:
    model = build_detector(TINY).eval()
    batch, _ = model.transform([torch.zeros(3, 160, 128)])
    assert batch.tensors.shape[-2:] == (160, 128)


def test_a_page_keeps_its_shape_and_gets_the_configured_area() -> None:
    for width, height in ((992, 1373), (4000, 3000), (850, 3700)):
        w, h = fitted_size(width, height, DetectorConfig())
        assert w * h == pytest.approx(184_000, rel=0.02)
        assert w / h == pytest.approx(width / height, rel=0.02)
    assert max(fitted_size(100, 20_000, DetectorConfig())) <= 1600
