"""The encoder as one module to train and to store, over batched tensors: branches, fusion and page network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.errors import Reject
from shared.nn import backbones
from shared.nn.encoder_branches import BackboneBranch, ConvBranch, Fusion, LayoutBranch, TextBranch
from shared.nn.encoder_config import EncoderConfig, Modality
from shared.nn.encoder_sequence import PageNetwork
from shared.nn.encoder_text import HashTextBranch
from shared.nn.layout_features import LAYOUT_FEATURES


@dataclass(frozen=True, eq=False)
class PanelTensors:
    """N panels as tensors. Per modality: which of the N rows have it, and the inputs of its branch for those rows only.

    Inputs: image pixels (M, 3, S, S) float; layout features (M, F); text ids and their mask or weights, (M, T) each.
    """

    count: int
    rows: Mapping[str, Tensor]
    inputs: Mapping[str, tuple[Tensor, ...]]


class EncoderNet(nn.Module):
    """Branches, fusion and, where there is one, the page network."""

    def __init__(
        self,
        branches: Mapping[str, nn.Module],
        gains: Mapping[Modality, float],
        *,
        gated: int | None = None,
        sequence: PageNetwork | None = None,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.fusion = Fusion({name: gains.get(name, 1.0) for name in branches}, gated=gated)  # type: ignore[call-overload]
        self.sequence = sequence

    def look(self, panels: PanelTensors) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Each modality's unit vectors (N, D) and whether they are present (N,) bool; absent rows are zero.

        Only rows that have the modality pass its branch: nothing is computed from stand-ins. A modality that no row
        has is left out.
        """
        vectors, present = {}, {}
        for name, rows in panels.rows.items():
            if name not in self.branches or not len(rows):
                continue
            found = self.branches[name](*panels.inputs[name]).float()
            vectors[name] = found.new_zeros((panels.count, found.shape[1])).index_copy(0, rows, found)
            present[name] = torch.zeros(panels.count, dtype=torch.bool, device=found.device).index_fill(0, rows, True)
        return vectors, present

    def recompute(self) -> None:
        """Makes backbones compute their activations again for the gradient instead of keeping them."""
        for branch in self.branches.values():
            backbone = getattr(branch, "backbone", None)
            if backbone is not None and getattr(backbone, "supports_gradient_checkpointing", False):
                backbone.activation_checkpointing_enable({"use_reentrant": False})


def on_pages(flat: Tensor, page: Tensor, position: Tensor, *, pages: int, longest: int) -> Tensor:
    """Rows (N, …) of panels, put at `position` of their `page`, → (pages, longest, …) with zeros where no panel is."""
    laid = flat.new_zeros((pages * longest, *flat.shape[1:]))
    return laid.index_copy(0, page * longest + position, flat).view(pages, longest, *flat.shape[1:])


def slots(counts: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The page and the position of every panel, both (N,) int64, of pages with so many panels each."""
    page = [number for number, count in enumerate(counts) for _ in range(count)]
    position = [place for count in counts for place in range(count)]
    return torch.tensor(page, dtype=torch.int64), torch.tensor(position, dtype=torch.int64)


def build_net(config: EncoderConfig, found: Mapping[Modality, nn.Module]) -> EncoderNet:
    """The network of a configuration around the backbones that were `found`. Reject when it has no branch."""
    branches: dict[str, nn.Module] = {}
    if config.image is not None and "image" in found:
        width = backbones.hidden_size(found["image"])
        branches["image"] = BackboneBranch(found["image"], width=width, dimensions=config.dimensions)
    elif config.image is not None:
        image = config.image
        branches["image"] = ConvBranch(
            widths=image.widths, blocks=image.blocks, size=image.size, dimensions=config.dimensions
        )
    if config.text is not None and "text" in found:
        width = backbones.hidden_size(found["text"])
        branches["text"] = TextBranch(found["text"], width=width, dimensions=config.dimensions)
    elif config.text is not None:
        text = config.text
        branches["text"] = HashTextBranch(buckets=text.buckets, width=text.width, dimensions=config.dimensions)
    if config.layout is not None:
        width = config.layout.width
        branches["layout"] = LayoutBranch(features=LAYOUT_FEATURES, width=width, dimensions=config.dimensions)
    if not branches:
        raise Reject("An encoder needs at least one of image, layout and text.")
    sequence = None
    if config.sequence is not None:
        own = config.sequence
        if own.width % own.heads:
            raise Reject(f"The page network's width {own.width} is not a multiple of its {own.heads} heads.")
        sequence = PageNetwork(dimensions=config.dimensions, width=own.width, layers=own.layers, heads=own.heads)
    return EncoderNet(branches, config.gains, gated=config.dimensions if config.gates else None, sequence=sequence)
