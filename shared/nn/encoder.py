"""The encoder contract: a panel's picture, text and layout, any of them missing, to one unit vector of 384 numbers.

    panel    fused = unit( Σ gain(m) · branch(m) )   over the modalities m that are present
    page     unit( branch(image) of the whole page  +  unit( mean of its panels' fused vectors ) ); either part may miss

Every branch gives unit vectors of the same space, so a query known by its picture alone is compared with panels known
in full. `encode_pages` takes whole pages in reading order, so that an encoder that looks across a page's panels can be
put behind the same calls. A checkpoint is a folder: `config.json` (a Manifest), `encoder.safetensors` in float16, and
`tokenizer/` when there is a text branch; it needs no network to load.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from shared.errors import Reject
from shared.nn import backbones
from shared.nn.encoder_branches import BackboneBranch, ConvBranch, Fusion, LayoutBranch, TextBranch
from shared.nn.encoder_config import EncoderConfig, ImageConfig, Manifest, Modality
from shared.nn.files import write_durably
from shared.nn.layout_features import LAYOUT_FEATURES, LayoutFeatures

Vectors = NDArray[np.float32]
Picture = NDArray[np.uint8]

WEIGHTS_FILE, CONFIG_FILE, TOKENIZER_FOLDER = "encoder.safetensors", "config.json", "tokenizer"


@dataclass(frozen=True, eq=False)
class PanelInput:
    """What is known of a panel; None, and text of nothing but spaces, count as missing.

    `crop`: (H, W, 3) uint8 RGB of any size. At least one part must be there.
    """

    crop: Picture | None = None
    layout: LayoutFeatures | None = None
    text: str | None = None


@dataclass(frozen=True, eq=False)
class PageInput:
    """A page's whole picture, (H, W, 3) uint8 RGB, if there is one, and its panels in reading order, if any."""

    image: Picture | None
    panels: Sequence[PanelInput]


@dataclass(frozen=True, eq=False)
class PageVectors:
    """`page` (D,) and `panels` (N, D), unit vectors, N = 0 for a page without panels."""

    page: Vectors
    panels: Vectors


class EncoderNet(nn.Module):
    """The branches and their fusion, as one module to train and to store."""

    def __init__(self, branches: Mapping[str, nn.Module], gains: Mapping[Modality, float]) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.fusion = Fusion({name: gains.get(name, 1.0) for name in branches})  # type: ignore[call-overload]


class Encoder:
    """An encoder ready for use: numpy in, numpy out, in evaluation mode.

    The same input gives the same vector whatever it is batched with (to rounding). Threads may share one.
    """

    def __init__(self, config: EncoderConfig, net: EncoderNet, *, tokenizer: Any = None, fingerprint: str = "") -> None:
        self.config = config
        self.net = net.eval()
        self.fingerprint = fingerprint
        """Identifies the checkpoint this was loaded from; empty when it was built."""
        self._tokenizer = tokenizer
        self._tokenizing = Lock()  # fast tokenizers are changed by every call and refuse to be shared
        self._device = torch.device("cpu")

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities it has a branch for; others are ignored."""
        return tuple(self.net.branches)

    def to(self, device: str) -> "Encoder":
        """Itself, moved to a torch device."""
        self._device = torch.device(device)
        self.net.to(self._device)
        return self

    def encode(self, panels: Sequence[PanelInput], *, batch_size: int = 32) -> Vectors:
        """The fused vectors of `panels`, (N, D) float32 of unit length.

        Reject when a panel has nothing that this encoder can see, or a crop is not an RGB picture.
        """
        batches = (panels[start : start + batch_size] for start in range(0, len(panels), batch_size))
        vectors = [self._encode_batch(batch) for batch in batches]
        return np.concatenate(vectors) if vectors else np.zeros((0, self.config.dimensions), np.float32)

    def encode_pages(self, pages: Sequence[PageInput]) -> list[PageVectors]:
        """The vectors of whole pages and of all their panels; Reject as `encode`, and for a page of nothing."""
        panels = self.encode([panel for page in pages for panel in page.panels])
        pictured = [page for page in pages if page.image is not None and "image" in self.modalities]
        pictures: Iterator[Vectors] = iter(self.encode([PanelInput(crop=page.image) for page in pictured]))
        result, start = [], 0
        for page in pages:
            own = panels[start : start + len(page.panels)]
            start += len(page.panels)
            parts = [_unit(own.mean(0))] if len(own) else []
            if page.image is not None and "image" in self.modalities:
                parts.append(next(pictures))
            if not parts:
                raise Reject("A page without picture and panels has no vector.")
            result.append(PageVectors(_unit(np.sum(parts, axis=0)), own))
        return result

    def prepare(self, crops: Sequence[Picture]) -> Tensor:
        """RGB pictures (H, W, 3) uint8 of any sizes → normalised pixels (N, 3, size, size) of the picture branch."""
        config = self.config.image
        assert config is not None
        return normalised(torch.stack([_resized(crop, config.size) for crop in crops]), config)

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Texts → token ids and attention mask of the text branch, both (N, T)."""
        assert self.config.text is not None
        limit = self.config.text.max_tokens
        with self._tokenizing:
            tokens = self._tokenizer(list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt")
        return tokens["input_ids"], tokens["attention_mask"]

    @torch.inference_mode()
    def _encode_batch(self, panels: Sequence[PanelInput]) -> Vectors:
        rows: dict[str, list[int]] = {name: [] for name in self.modalities}
        for row, panel in enumerate(panels):
            known = {"image": panel.crop is not None, "layout": panel.layout is not None, "text": _said(panel.text)}
            for name in self.modalities:
                if known[name]:
                    rows[name].append(row)
        vectors, present = {}, {}
        for name, chosen in rows.items():
            if not chosen:
                continue
            inputs = self._inputs(name, [panels[row] for row in chosen])
            # Only rows that have the modality pass its branch: nothing is computed from stand-ins.
            found = self.net.branches[name](*(tensor.to(self._device) for tensor in inputs)).float()
            vectors[name] = torch.zeros((len(panels), found.shape[1]), device=self._device)
            vectors[name][chosen] = found
            present[name] = torch.zeros(len(panels), dtype=torch.bool, device=self._device)
            present[name][chosen] = True
        if not vectors:
            raise Reject(f"A panel needs one of {', '.join(self.modalities)} to be encoded.")
        fused = self.net.fusion(vectors, present).cpu().numpy()
        if not np.isfinite(fused).all():
            raise Reject("The encoder gave a vector that is not finite; its checkpoint is unusable.")
        return np.asarray(fused, np.float32)

    def _inputs(self, name: str, panels: Sequence[PanelInput]) -> tuple[Tensor, ...]:
        if name == "image":
            return (self.prepare([panel.crop for panel in panels if panel.crop is not None]),)
        if name == "layout":
            features = [panel.layout.vector() for panel in panels if panel.layout is not None]
            return (torch.from_numpy(np.stack(features)),)
        return self.tokenize([panel.text for panel in panels if panel.text is not None])


def build_encoder(config: EncoderConfig, *, seed: int = 0) -> Encoder:
    """A new encoder; what has no pretrained backbone gets random weights from `seed`. Reject on unusable backbones."""
    found: dict[Modality, nn.Module] = {}
    tokenizer = None
    if config.image is not None and config.image.backbone is not None:
        found["image"] = backbones.pretrained(config.image.backbone, vision=True)
    if config.text is not None:
        found["text"] = backbones.pretrained(config.text.backbone, vision=False)
        tokenizer = backbones.tokenizer(config.text.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(config, _net(config, found), tokenizer=tokenizer)


def save_encoder(folder: Path, encoder: Encoder, *, about: Mapping[str, Any] | None = None) -> Manifest:
    """Write a checkpoint into `folder`, replacing one that is there; a reader meets the old, the new or an error.

    `about` (JSON) is kept with it. Reject, with nothing written, when a weight is not finite in float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().half().cpu().contiguous() for name, value in encoder.net.state_dict().items()}
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise Reject(f"The weight {name} is not finite in float16; the training went wrong, nothing was saved.")
    data = safetensors.torch.save(weights)
    manifest = Manifest(
        config=encoder.config,
        backbones={
            name: backbones.raw_config(branch.backbone)  # type: ignore[arg-type]
            for name, branch in encoder.net.branches.items()
            if hasattr(branch, "backbone")
        },
        weights_sha256=hashlib.sha256(data).hexdigest(),
        about=dict(about or {}),
    )
    if encoder._tokenizer is not None:
        encoder._tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    write_durably(folder / WEIGHTS_FILE, data)
    write_durably(folder / CONFIG_FILE, (json.dumps(manifest.model_dump(mode="json"), indent=2) + "\n").encode())
    return manifest


def load_encoder(folder: Path, *, device: str = "cpu") -> Encoder:
    """The encoder of a checkpoint folder, in float32 on `device`.

    Reject, naming the folder, when the checkpoint is incomplete, damaged, or of another version.
    """
    manifest, fingerprint = _manifest(folder)
    config = manifest.config
    try:
        data = (folder / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise Reject(f"The checkpoint {folder.name} has no {WEIGHTS_FILE}; save or copy it again.") from error
    if hashlib.sha256(data).hexdigest() != manifest.weights_sha256:
        raise Reject(f"{WEIGHTS_FILE} of the checkpoint {folder.name} is not the one it was saved with; copy it again.")
    found = {name: backbones.from_raw_config(raw, vision=name == "image") for name, raw in manifest.backbones.items()}
    net = _net(config, found)
    try:
        net.load_state_dict(safetensors.torch.load(data), strict=True)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise Reject(f"The weights of the checkpoint {folder.name} do not fit its {CONFIG_FILE}.") from error
    tokenizer = backbones.tokenizer(str(folder / TOKENIZER_FOLDER)) if config.text is not None else None
    return Encoder(config, net, tokenizer=tokenizer, fingerprint=fingerprint).to(device)


def checkpoint_fingerprint(folder: Path) -> str:
    """What identifies the checkpoint in a folder: the hash of its manifest, which holds the hash of its weights."""
    return _manifest(folder)[1]


def normalised(pixels: Tensor, config: ImageConfig) -> Tensor:
    """Pixels (N, 3, S, S), uint8 or float 0 to 255 → float32 with the branch's mean and deviation taken out."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
    return (pixels.float() / 255 - mean) / std


def _net(config: EncoderConfig, found: Mapping[Modality, nn.Module]) -> EncoderNet:
    branches: dict[str, nn.Module] = {}
    if config.image is not None and "image" in found:
        width = backbones.hidden_size(found["image"])
        branches["image"] = BackboneBranch(found["image"], width=width, dimensions=config.dimensions)
    elif config.image is not None:
        image = config.image
        branches["image"] = ConvBranch(
            widths=image.widths, blocks=image.blocks, size=image.size, dimensions=config.dimensions
        )
    if config.text is not None:
        width = backbones.hidden_size(found["text"])
        branches["text"] = TextBranch(found["text"], width=width, dimensions=config.dimensions)
    if config.layout is not None:
        width = config.layout.width
        branches["layout"] = LayoutBranch(features=LAYOUT_FEATURES, width=width, dimensions=config.dimensions)
    if not branches:
        raise Reject("An encoder needs at least one of image, layout and text.")
    return EncoderNet(branches, config.gains)


def _manifest(folder: Path) -> tuple[Manifest, str]:
    try:
        raw = (folder / CONFIG_FILE).read_bytes()
        return Manifest.model_validate_json(raw), hashlib.sha256(raw).hexdigest()
    except OSError as error:
        raise Reject(f"There is no checkpoint in the folder {folder.name}; it needs {CONFIG_FILE}.") from error
    except ValidationError as error:
        raise Reject(f"{CONFIG_FILE} of the checkpoint {folder.name} is damaged or of another version.") from error


def _resized(crop: Picture, size: int) -> Tensor:
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or 0 in crop.shape:
        raise Reject(f"A picture must be (height, width, 3) of uint8, not {crop.shape} of {crop.dtype}.")
    image = Image.fromarray(crop).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _said(text: str | None) -> bool:
    return text is not None and bool(text.strip())


def _unit(vector: Vectors) -> Vectors:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
