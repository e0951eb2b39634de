"""A batch as the networks see it: tensors on the device, each view looked at once and only when something asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from services.training.batches import Batch, Flags, View
from services.training.heads import TrainingNet
from shared.nn.encoder import Encoder, normalised
from shared.nn.encoder_net import EncoderNet, PanelTensors, on_pages, slots
from shared.nn.encoder_sequence import PageNetwork, places_of


@dataclass(frozen=True, eq=False)
class Look:
    """One view's unit vectors (N, D) by modality, whether they are present and whether they are shown, (N,) bool."""

    vectors: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    shown: Mapping[str, Tensor]
    net: EncoderNet

    def fused(self, *, only: tuple[str, ...] | None = None) -> Tensor:
        """Unit vectors (N, D) of what is shown, or of all there is of the modalities in `only`."""
        if only is None:
            present = {name: flags & self.shown[name] for name, flags in self.present.items()}
        else:
            present = {name: flags for name, flags in self.present.items() if name in only}
        fused: Tensor = self.net.fusion({name: self.vectors[name] for name in present}, present)
        return fused


EVERYTHING = ("image", "text", "layout")
CONTENT = ("image", "text")


class Seen:
    """A batch before `model`, and before `teacher` where there is one."""

    def __init__(
        self,
        batch: Batch,
        *,
        model: TrainingNet,
        encoder: Encoder,
        teacher: EncoderNet | None,
        device: torch.device,
        half: bool,
        temperature: float,
    ) -> None:
        self.batch, self.model, self.teacher, self.temperature = batch, model, teacher, temperature
        self._encoder, self._device, self._half = encoder, device, half
        page, position = slots(batch.counts)
        self.page, self.position = page.to(device), position.to(device)
        self.counts = torch.tensor(batch.counts, device=device)
        self.alike = self.flags(batch.alike)
        self.layouts = torch.from_numpy(batch.layouts).to(device)
        self.pairs = torch.from_numpy(batch.pairs).to(device)
        self.strangers = torch.from_numpy(batch.strangers).to(device)

    def flags(self, values: Flags) -> Tensor:
        """Flags on the device."""
        return torch.from_numpy(values).to(self._device)

    @cached_property
    def piece(self) -> Look:
        """The view to ask with."""
        return self._look(self.batch.piece, self.model.encoder)

    @cached_property
    def whole(self) -> Look:
        """The view to store."""
        return self._look(self.batch.whole, self.model.encoder)

    @cached_property
    def noisy(self) -> Look:
        """The spoiled view, as the student sees it."""
        assert self.batch.noisy is not None
        return self._look(self.batch.noisy, self.model.encoder)

    @cached_property
    def clean(self) -> Look:
        """The undisturbed panels, as the teacher sees them; no gradient."""
        assert self.batch.clean is not None
        assert self.teacher is not None
        with torch.no_grad():
            return self._look(self.batch.clean, self.teacher)

    @cached_property
    def thumbs(self) -> Tensor:
        """The picture branch's unit vectors of the whole pages, (P, D)."""
        with self._autocast():
            found = self.model.encoder.branches["image"](self._pixels(list(self.batch.thumbs)))
        vectors: Tensor = found.float()
        return vectors

    @cached_property
    def there(self) -> Tensor:
        """Which places of (P, L) hold a panel, bool."""
        return torch.arange(max(self.batch.counts), device=self._device) < self.counts[:, None]

    def on_pages(self, flat: Tensor) -> Tensor:
        """Rows (N, …) of panels as (P, L, …), zero where no panel is."""
        return on_pages(flat, self.page, self.position, pages=len(self.counts), longest=self.there.shape[1])

    @cached_property
    def places(self) -> Tensor:
        """Where the panels are, (P, L, PLACE_FEATURES)."""
        known = torch.ones_like(self.page, dtype=torch.bool)
        return self.on_pages(places_of(self.layouts, known, self.position, self.counts[self.page]))

    def read(self, fused: Tensor) -> tuple[Tensor, Tensor]:
        """The page network over fused vectors (N, D): contexts (N, D) and pages (P, D), unit vectors."""
        context, page = self._network(self.on_pages(fused), self.places, self.there)
        return context[self.page, self.position], torch.nn.functional.normalize(page, dim=1)

    def guess(self, fused: Tensor, rows: Tensor) -> Tensor:
        """What the page network says of panels `rows` (M,) when each is hidden among the others of its page: (M, D)."""
        pages, place = self.page[rows], self.position[rows]
        hidden = torch.arange(self.there.shape[1], device=self._device) == place[:, None]
        context, _ = self._network(self.on_pages(fused)[pages], self.places[pages], self.there[pages], hidden)
        guesses: Tensor = context[torch.arange(len(rows), device=self._device), place]
        return guesses

    @property
    def _network(self) -> PageNetwork:
        assert self.model.encoder.sequence is not None
        return self.model.encoder.sequence

    def _look(self, view: View, net: EncoderNet) -> Look:
        pictured = [k for k, picture in enumerate(view.pictures) if picture is not None]
        said = [k for k, text in enumerate(view.texts) if text is not None]
        inputs: dict[str, tuple[Tensor, ...]] = {"layout": (self.layouts,)}
        rows: dict[str, list[int]] = {"image": pictured, "text": said, "layout": list(range(len(view.texts)))}
        if pictured:
            inputs["image"] = (self._pixels([view.pictures[k] for k in pictured]),)
        if said and "text" in net.branches:
            texts = self._encoder.tokenize([text for text in view.texts if text is not None])
            inputs["text"] = tuple(tensor.to(self._device) for tensor in texts)
        panels = PanelTensors(
            len(view.texts),
            {name: torch.tensor(rows[name], dtype=torch.int64, device=self._device) for name in inputs},
            inputs,
        )
        with self._autocast():
            vectors, present = net.look(panels)
        return Look(vectors, present, {name: self.flags(flags) for name, flags in view.shown.items()}, net)

    def _pixels(self, pictures: list[np.ndarray | None]) -> Tensor:
        config = self._encoder.config.image
        assert config is not None
        stacked = torch.from_numpy(np.stack([picture for picture in pictures if picture is not None]))
        return normalised(stacked.permute(0, 3, 1, 2), config).to(self._device)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._half)
