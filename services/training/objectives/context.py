"""The objective *context*: base, and a panel hidden from its page is found again by its neighbours and its box.

    masked_panel   -log softmax( cᵢ · t / τ )[tᵢ]   over the content t of the panels of the batch that are not shown

Every panel of a page is hidden in its turn. cᵢ is what the page network says of the hidden panel i: its token is a
learned mask and its place; neither its picture nor its words nor any mean of them enters. The targets are content,
vectors of picture and words without a place, so that the box, which is given, cannot find them; they carry no gradient.
The panels that are shown are no candidates: what is missing is none of what is seen, and a guess must not be taught to
keep away from its neighbours. Source: He et al. 2022, Masked Autoencoders; found among candidates, not rebuilt, as in
van den Oord et al. 2018.
"""

import torch
from torch import Tensor
from torch.nn import functional

from services.training.objectives import base
from services.training.objectives.terms import Terms
from services.training.seen import CONTENT, EVERYTHING, Seen


def losses(seen: Seen) -> Terms:
    """Base and its own term."""
    terms = base.losses(seen)
    whole = seen.whole
    add(terms, seen, neighbours=whole.fused(only=EVERYTHING), targets=whole.fused(only=CONTENT).detach())
    return terms


def add(terms: Terms, seen: Seen, *, neighbours: Tensor, targets: Tensor) -> None:
    """The term of its own: `neighbours` are what the page network sees, `targets` what is looked for, both (N, D)."""
    rows = (seen.counts[seen.page] > 1).nonzero()[:, 0]
    if not len(rows):
        return
    mates = seen.page[rows][:, None] == seen.page
    mates[torch.arange(len(rows), device=mates.device), rows] = False
    if bool((mates | seen.alike[rows]).sum(1).max() > len(targets) - 2):
        return  # a page whose panels are all there is: nothing to be told from
    logits = seen.guess(neighbours, rows) @ targets.T / seen.temperature
    logits = logits.masked_fill(mates | seen.alike[rows], -torch.inf)
    terms["masked_panel"] = 1.0, functional.cross_entropy(logits, rows)
