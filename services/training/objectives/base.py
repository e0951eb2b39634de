"""The objective *base*: what belongs together finds each other, and content tells its order.

    image_text     InfoNCE(image, text) of the same panel's piece, both ways                  Radford et al. 2021, CLIP
    whole_image_text   the same of the whole
    layout         InfoNCE(layout, sg(image)) of the same panel: a weak partner, it may not pull the picture to it
    views          InfoNCE(fused piece, fused whole), modalities missing at random            Chen et al. 2020, SimCLR
    context        InfoNCE(context of the piece, context of the whole): a panel in its page, in both views
    pages          InfoNCE(page of the panels, whole page's picture) and of the panels of both views
    reading_path   -log softmax s(i, ·)[i + 1] over the page's other panels and "the end"     Noroozi, Favaro 2016
    page_order     cross-entropy of following, swapped, unrelated; a third each               Lan et al. 2020, SOP

sg stops the gradient. Panels that cannot be told apart (same picture, same words) are never each other's wrong answer.
The reading path is learned from vectors without any place in them; the order of pages from what the page network makes
of their panels, into which its gradient reaches.
"""

import torch
from torch import Tensor
from torch.nn import functional

from services.training.heads import FORWARD, SWAPPED, UNRELATED
from services.training.objectives.terms import Terms, contrast
from services.training.seen import CONTENT, EVERYTHING, Seen


def losses(seen: Seen) -> Terms:
    """The terms that this batch can give: none on texts without texts, on order without neighbours."""
    terms: Terms = {}
    piece, whole = seen.piece, seen.whole
    if "text" in piece.present:
        said = piece.present["text"].nonzero()[:, 0]
        alike = seen.alike[said][:, said]
        # Of both views side by side: a piece of the picture and all of it, each with its words.
        for look, name in ((piece, "image_text"), (whole, "whole_image_text")):
            contrast(terms, name, 1.0, (look.vectors["image"][said], look.vectors["text"][said]), seen, alike)
    if "layout" in whole.vectors:
        pair = whole.vectors["layout"], whole.vectors["image"].detach()
        contrast(terms, "layout", 0.1, pair, seen, seen.alike | seen.flags(seen.batch.alike_places))
    contrast(terms, "views", 1.0, (piece.fused(), whole.fused()), seen, seen.alike)
    contexts, pages = seen.read(whole.fused(only=EVERYTHING))
    piece_contexts, piece_pages = seen.read(piece.fused(only=EVERYTHING))
    contrast(terms, "context", 0.1, (piece_contexts, contexts), seen, seen.alike)
    alike = seen.flags(seen.batch.alike_pages)
    contrast(terms, "pages", 0.15, (piece_pages, pages), seen, alike)
    contrast(terms, "page_pictures", 0.15, (seen.thumbs, pages), seen, alike)
    _reading_path(terms, seen)
    _page_order(terms, seen, pages)
    return terms


def _reading_path(terms: Terms, seen: Seen) -> None:
    several = (seen.counts > 1).nonzero()[:, 0]
    if not len(several):
        return
    scores = seen.model.reading_path(seen.on_pages(seen.whole.fused(only=CONTENT))[several], seen.there[several])
    there, longest = seen.there[several], seen.there.shape[1]
    after = torch.arange(1, longest + 1, device=scores.device).expand(len(several), -1)
    target = torch.where(after == seen.counts[several][:, None], longest, after)
    terms["reading_path"] = 1.0, functional.cross_entropy(scores[there], target[there])


def _page_order(terms: Terms, seen: Seen, pages: Tensor) -> None:
    if not len(seen.pairs):
        return
    first, second, strange = pages[seen.pairs[:, 0]], pages[seen.pairs[:, 1]], pages[seen.strangers]
    logits = seen.model.page_order(torch.cat([first, second, first]), torch.cat([second, first, strange]))
    label = torch.tensor([FORWARD, SWAPPED, UNRELATED], device=logits.device).repeat_interleave(len(first))
    terms["page_order"] = 0.3, functional.cross_entropy(logits, label)
