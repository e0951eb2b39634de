"""What a run takes of a GPU's memory, computed without one: `python -m services.training.memory`.

The network is built of fake tensors, which have shapes and kinds but no numbers, and passed the views of one batch of
the greediest option; a hook counts every tensor that is kept for the gradient. Counted: parameters, gradients, the
optimiser's two moments and the teacher in float32; the pictures of all views; all that both branches keep of the views
that need a gradient; and what recomputing the largest layer of one view needs on top, twice, for its gradient. Not
counted: the heads, the page network and the contrasts (a few megabytes) and CUDA's own context (about half a gigabyte).
"""

import argparse
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from shared.nn import backbones
from shared.nn.encoder_config import EncoderConfig, ImageConfig, SequenceConfig, TextConfig
from shared.nn.encoder_net import EncoderNet, build_net

VIT_BASE = {"model_type": "vit", "image_size": 224}
MINILM = {
    "model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
    "intermediate_size": 1536,
}  # fmt: skip
CONFIG = EncoderConfig(
    image=ImageConfig(size=224, backbone="a ViT of base size"),
    text=TextConfig(backbone="a MiniLM of six layers"),
    sequence=SequenceConfig(),
    gates=True,
)
GRADIENT_VIEWS = 3  # piece, whole and noisy; the clean one is the teacher's


@dataclass(frozen=True)
class Memory:
    """Bytes, by what they are for."""

    parameters: int
    gradients: int
    optimiser: int
    teacher: int
    pictures: int
    activations: int
    recomputed: int

    @property
    def total(self) -> int:
        """All of them at the worst moment."""
        return sum(vars(self).values())


def training_memory(*, pages: int, panels: int, tokens: int, recompute: bool) -> Memory:
    """Memory of a step on `pages` pages of `panels` panels, whose texts have `tokens` tokens, in bfloat16."""
    from transformers.initialization import no_init_weights

    with FakeTensorMode(), no_init_weights():
        found = {
            "image": backbones.from_raw_config(VIT_BASE, vision=True),
            "text": backbones.from_raw_config(MINILM, vision=False),
        }
        net = build_net(CONFIG, found)  # type: ignore[arg-type]
        net.train()
        count = pages * panels
        pixels, ids = torch.empty(count, 3, 224, 224), torch.zeros(count, tokens, dtype=torch.int64)
        thumbs, mask = torch.empty(pages, 3, 224, 224), torch.ones(count, tokens, dtype=torch.int64)
        plain = _kept(net, pixels, ids, mask)
        layer = max(_layers(net, "image", plain["image"]), _layers(net, "text", plain["text"]))
        if recompute:
            net.recompute()
        kept = _kept(net, pixels, ids, mask)
        whole_pages = _kept(net, thumbs, ids[:1], mask[:1])["image"]
        weights = sum(4 * value.numel() for value in net.parameters())
    picture = 4 * 3 * 224 * 224
    return Memory(
        parameters=weights,
        gradients=weights,
        optimiser=2 * weights,
        teacher=weights,
        pictures=picture * (count * (GRADIENT_VIEWS + 1) + pages),
        activations=GRADIENT_VIEWS * (kept["image"] + kept["text"]) + whole_pages,
        recomputed=2 * layer if recompute else 0,
    )


def _kept(net: EncoderNet, pixels: Tensor, ids: Tensor, mask: Tensor) -> dict[str, int]:
    """Bytes that each branch keeps for the gradient of these inputs, beside its parameters."""
    own = {value.untyped_storage()._cdata for value in net.parameters()}
    kept = {}
    for name, inputs in (("image", (pixels,)), ("text", (ids, mask))):
        storages: dict[int, int] = {}
        alive: list[Tensor] = []  # a freed storage's number would be given to another one

        def keep(tensor: Tensor, storages: dict[int, int] = storages, alive: list[Tensor] = alive) -> Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in own:
                storages[storage._cdata] = storage.nbytes()
                alive.append(tensor)
            return tensor

        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16),
        ):
            alive.append(net.branches[name](*inputs))
        kept[name] = sum(storages.values())
    return kept


def _layers(net: EncoderNet, name: str, kept: int) -> int:
    """What one layer of a branch keeps, when the branch keeps `kept`."""
    backbone = net.branches[name].backbone
    assert isinstance(backbone, nn.Module)
    return kept // int(backbone.config.num_hidden_layers)  # type: ignore[union-attr, arg-type]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=8, help="pages of a batch")
    parser.add_argument("--panels", type=int, default=6, help="panels of a page")
    parser.add_argument("--tokens", type=int, default=256, help="tokens of a text; longer ones are cut")
    plan = parser.parse_args()
    print(f"context-denoise, {plan.pages} pages of {plan.panels} panels, ViT-base 224 and MiniLM-L6, bfloat16; in GiB")
    sides = [
        training_memory(pages=plan.pages, panels=plan.panels, tokens=plan.tokens, recompute=recompute)
        for recompute in (True, False)
    ]
    print(f"{'':14}{'recompute':>10}{'keep':>10}")
    for name in [*vars(sides[0]), "total"]:
        print(f"{name:14}" + "".join(f"{getattr(side, name) / 2**30:10.2f}" for side in sides))


if __name__ == "__main__":
    main()
