"""The encoder contract: a panel's picture, text and layout, any of them missing, to one unit vector of 384 numbers.

    panel    fused = unit( Σ gain(m) · branch(m) )   over the modalities m that are present
    page     unit( branch(image) of the whole page  +  unit( mean of its panels' fused vectors ) ); either part may miss

Every branch gives unit vectors of the same space, so a query known by its picture alone is compared with panels known
in full. An encoder with a page network also gives each panel a vector in its context, adds what it makes of the panels
to their mean in the page's vector, and tells what stands in a panel that nobody has seen. The picture of the whole page
never enters the page network: it shows every panel. A checkpoint is a folder and needs no network to load
(`encoder_files`).
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from shared.errors import Reject
from shared.nn import backbones
from shared.nn.encoder_branches import BackboneBranch, TextBranch
from shared.nn.encoder_config import EncoderConfig, ImageConfig, Manifest, Modality
from shared.nn.encoder_files import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    checkpoint_fingerprint,
    read_checkpoint,
    write_checkpoint,
)
from shared.nn.encoder_net import EncoderNet, PanelTensors, build_net, on_pages, slots
from shared.nn.encoder_sequence import places_of
from shared.nn.encoder_text import hashed
from shared.nn.layout_features import LAYOUT_FEATURES, LayoutFeatures

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "EncoderNet", "checkpoint_fingerprint"]

Vectors = NDArray[np.float32]
Picture = NDArray[np.uint8]


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
    """`page` (D,) and `panels` (N, D), unit vectors, N = 0 for a page without panels.

    `context` (N, D): each panel as it is read among the others; None when the encoder has no page network.
    """

    page: Vectors
    panels: Vectors
    context: Vectors | None = None


class Encoder:
    """An encoder ready for use: numpy in, numpy out, in evaluation mode.

    The same input gives the same vector whatever it is batched with (to rounding). Threads may share one.
    """

    def __init__(self, config: EncoderConfig, net: EncoderNet, *, tokenizer: Any = None, fingerprint: str = "") -> None:
        self.config = config
        self.net = net.eval()
        self.fingerprint = fingerprint
        """Identifies the checkpoint this was loaded from; empty when it was built."""
        self.tokenizer = tokenizer
        """The text model's; None without one."""
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
        read = iter(self._read([page.panels for page in pages if page.panels], panels))
        result, start = [], 0
        for page in pages:
            own = panels[start : start + len(page.panels)]
            start += len(page.panels)
            together, context = next(read) if len(own) else (None, own)
            parts = [] if together is None else [together]
            if page.image is not None and "image" in self.modalities:
                parts.append(next(pictures))
            if not parts:
                raise Reject("A page without picture and panels has no vector.")
            told = context if self.net.sequence is not None else None
            result.append(PageVectors(_unit(np.sum(parts, axis=0)), own, told))
        return result

    def predict_panels(self, panels: Sequence[PanelInput]) -> Vectors:
        """What must stand in each panel of a page, by the other panels and its own place: (N, D) unit vectors.

        Nothing of a panel but its layout takes part in its own row. Reject without a page network, and as `encode`.
        """
        if self.net.sequence is None:
            raise Reject("This encoder has no page network; train one to have panels predicted.")
        count = len(panels)
        if not count:
            return np.zeros((0, self.config.dimensions), np.float32)
        fused, places = self._page_tensors([panels], self.encode(panels))
        with torch.inference_mode():
            there = torch.ones((count, count), dtype=torch.bool, device=self._device)
            hidden = torch.eye(count, dtype=torch.bool, device=self._device)
            context, _ = self.net.sequence(fused.expand(count, -1, -1), places.expand(count, -1, -1), there, hidden)
            return _finite(context.diagonal().T)

    def prepare(self, crops: Sequence[Picture]) -> Tensor:
        """RGB pictures (H, W, 3) uint8 of any sizes → normalised pixels (N, 3, size, size) of the picture branch."""
        config = self.config.image
        assert config is not None
        return normalised(torch.stack([_resized(crop, config.size) for crop in crops]), config)

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Texts → token ids and their attention mask, or hashed units and their weights, both (N, T)."""
        config = self.config.text
        assert config is not None
        if self.tokenizer is None:
            return hashed(texts, buckets=config.buckets, words=config.max_tokens)
        with self._tokenizing:
            tokens = self.tokenizer(
                list(texts), padding=True, truncation=True, max_length=config.max_tokens, return_tensors="pt"
            )
        return tokens["input_ids"], tokens["attention_mask"]

    @torch.inference_mode()
    def _encode_batch(self, panels: Sequence[PanelInput]) -> Vectors:
        rows: dict[str, list[int]] = {name: [] for name in self.modalities}
        for row, panel in enumerate(panels):
            known = {"image": panel.crop is not None, "layout": panel.layout is not None, "text": _said(panel.text)}
            for name in self.modalities:
                if known[name]:
                    rows[name].append(row)
        inputs = {
            name: tuple(tensor.to(self._device) for tensor in self._inputs(name, [panels[row] for row in chosen]))
            for name, chosen in rows.items()
            if chosen
        }
        if not inputs:
            raise Reject(f"A panel needs one of {', '.join(self.modalities)} to be encoded.")
        chosen_rows = {name: torch.tensor(rows[name], device=self._device) for name in inputs}
        vectors, present = self.net.look(PanelTensors(len(panels), chosen_rows, inputs))
        return _finite(self.net.fusion(vectors, present))

    def _read(self, pages: Sequence[Sequence[PanelInput]], panels: Vectors) -> Iterator[tuple[Vectors, Vectors]]:
        """For each page, all with panels, whose fused vectors `panels` are: the page's vector, and the contexts."""
        if self.net.sequence is None or not pages:
            start = 0
            for page in pages:
                own = panels[start : start + len(page)]
                start += len(page)
                yield _unit(own.mean(0)), own
            return
        fused, places = self._page_tensors(pages, panels)
        counts = torch.tensor([len(page) for page in pages], device=self._device)
        there = torch.arange(fused.shape[1], device=self._device) < counts[:, None]
        with torch.inference_mode():
            contexts, whole = self.net.sequence(fused, places, there)
            contexts, whole = _finite(contexts), _finite(whole)
        for number, page in enumerate(pages):
            yield _unit(whole[number]), contexts[number, : len(page)]

    def _page_tensors(self, pages: Sequence[Sequence[PanelInput]], panels: Vectors) -> tuple[Tensor, Tensor]:
        """Fused vectors and places of pages, (P, L, D) and (P, L, PLACE_FEATURES)."""
        every = [panel for page in pages for panel in page]
        counts = [len(page) for page in pages]
        page, position = slots(counts)
        layouts = np.zeros((len(every), LAYOUT_FEATURES), np.float32)
        for row, panel in enumerate(every):
            if panel.layout is not None:
                layouts[row] = panel.layout.vector()
        known = torch.tensor([panel.layout is not None for panel in every])
        places = places_of(torch.from_numpy(layouts), known, position, torch.tensor(counts)[page])
        fused, places = (
            on_pages(flat, page, position, pages=len(pages), longest=max(counts)).to(self._device)
            for flat in (torch.from_numpy(panels), places)
        )
        return fused, places

    def _inputs(self, name: str, panels: Sequence[PanelInput]) -> tuple[Tensor, ...]:
        if name == "image":
            return (self.prepare([panel.crop for panel in panels if panel.crop is not None]),)
        if name == "layout":
            features = [panel.layout.vector() for panel in panels if panel.layout is not None]
            return (torch.from_numpy(np.stack(features)),)
        return self.tokenize([panel.text for panel in panels if panel.text is not None])


def build_encoder(config: EncoderConfig, *, seed: int = 0, like: Encoder | None = None) -> Encoder:
    """A new encoder; what has no pretrained backbone gets random weights from `seed`. Reject on unusable backbones.

    Branches that `like` has get a copy of its backbone and tokenizer, wherever those once came from.
    """
    found: dict[Modality, nn.Module] = {}
    tokenizer = None if like is None else like.tokenizer
    for name, branch in {} if like is None else dict(like.net.branches).items():
        if isinstance(branch, BackboneBranch | TextBranch):
            found[name] = copy.deepcopy(branch.backbone)  # type: ignore[index]
    if config.image is not None and config.image.backbone is not None and "image" not in found:
        found["image"] = backbones.pretrained(config.image.backbone, vision=True)
    if config.text is not None and config.text.backbone is not None and "text" not in found:
        found["text"] = backbones.pretrained(config.text.backbone, vision=False)
        tokenizer = backbones.tokenizer(config.text.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(config, build_net(config, found), tokenizer=tokenizer)


def save_encoder(folder: Path, encoder: Encoder, *, about: Mapping[str, Any] | None = None) -> Manifest:
    """Write a checkpoint into `folder`, replacing one that is there; a reader meets the old, the new or an error.

    `about` (JSON) is kept with it. Reject, with nothing written, when a weight is not finite in float16.
    """
    return write_checkpoint(folder, encoder.net, config=encoder.config, tokenizer=encoder.tokenizer, about=about or {})


def load_encoder(folder: Path, *, device: str = "cpu") -> Encoder:
    """The encoder of a checkpoint folder, in float32 on `device`.

    Reject, naming the folder, when the checkpoint is incomplete, damaged, or of another version.
    """
    net, config, tokenizer, fingerprint = read_checkpoint(folder)
    return Encoder(config, net, tokenizer=tokenizer, fingerprint=fingerprint).to(device)


def normalised(pixels: Tensor, config: ImageConfig) -> Tensor:
    """Pixels (N, 3, S, S), uint8 or float 0 to 255 → float32 with the branch's mean and deviation taken out."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
    return (pixels.float() / 255 - mean) / std


def _resized(crop: Picture, size: int) -> Tensor:
    if crop.dtype != np.uint8 or crop.ndim != 3 or crop.shape[2] != 3 or 0 in crop.shape:
        raise Reject(f"A picture must be (height, width, 3) of uint8, not {crop.shape} of {crop.dtype}.")
    image = Image.fromarray(crop).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _said(text: str | None) -> bool:
    return text is not None and bool(text.strip())


def _unit(vector: Vectors) -> Vectors:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)


def _finite(vectors: Tensor) -> Vectors:
    found = np.asarray(vectors.cpu().numpy(), np.float32)
    if not np.isfinite(found).all():
        raise Reject("The encoder gave a vector that is not finite; its checkpoint is unusable.")
    return found
