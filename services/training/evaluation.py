"""What an encoder can do on comics it never saw: measures of a run, each with what guessing gives beside it.

Everything is asked through the encoder as the search asks it. Only `reading_path` and `page_order` need the heads of
the training, and those are given nothing but the encoder's vectors. Nothing is random: the same encoder on the same
pages always gives the same numbers. A wrong answer that cannot be told from the right one (the same picture, the same
words) does not count against it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from services.training.augmentation import view
from services.training.batches import PIECE, alike_panels, follows
from services.training.corpus import Corpus, CorpusPage, CorpusPanel
from services.training.heads import FORWARD, SWAPPED, UNRELATED, TrainingNet
from services.training.noise import noisy_picture, noisy_text
from shared.domain.reading_order import reading_order
from shared.domain.schema import Box
from shared.nn.encoder import Encoder, PageInput, PanelInput

MOST_PANELS = 600  # measured on the first pages that hold so many: an epoch should not end in a long wait
Flags = NDArray[np.bool_]
Vectors = NDArray[np.float32]
Measures = dict[str, float]


def evaluate(encoder: Encoder, model: TrainingNet | None, held_out: Corpus) -> Measures:
    """All measures that the pages allow, and `<name>_chance` beside each; nothing for fewer than two panels.

    r1 and r10 are the shares of queries whose answer is the first, or among the first ten. What the encoder has no part
    for stands at chance. Two rules stand beside what they are to be compared with: `reading_path_geometric`, the order
    by position, and `masked_panel_r…_neighbours`, what is most like the other panels of the page.
    """
    pages = _measured(held_out)
    panels = [panel for page in pages for panel in page.panels]
    if len(panels) < 2:
        return {}
    alike = alike_panels(panels)
    measures = _retrieval(encoder, panels, alike)
    measures |= _masked(encoder, pages, alike)
    if model is not None:
        with torch.inference_mode():
            measures |= _reading_path(encoder, model, pages)
            measures |= _page_order(encoder, model, pages)
    return measures


def _measured(held_out: Corpus) -> list[CorpusPage]:
    pages: list[CorpusPage] = []
    count = 0
    for page in held_out.pages:
        if pages and count + len(page.panels) > MOST_PANELS:
            break
        pages.append(page)
        count += len(page.panels)
    return pages


def _known(panel: CorpusPanel) -> PanelInput:
    return PanelInput(panel.crop, panel.layout, panel.text)


def _retrieval(encoder: Encoder, panels: Sequence[CorpusPanel], alike: Flags) -> Measures:
    """Panels by a piece of their picture, pictures and words by each other, panels by what is left of them.

    `noisy` is a spoiled piece of the picture with spoiled words; `_no_text` and `_no_picture` are one of the two alone.
    """
    size = 128 if encoder.config.image is None else encoder.config.image.size
    said = np.array([panel.text is not None for panel in panels])
    everyone = np.ones(len(panels), np.bool_)
    pieces, spoiled, misread = [], [], []
    for number, panel in enumerate(panels):
        rng = np.random.default_rng([7, number])
        image = Image.fromarray(panel.crop)
        piece = view(rng, image, Box(0, 0, image.width, image.height), size=size, settings=PIECE)
        pieces.append(PanelInput(piece))
        spoiled.append(PanelInput(noisy_picture(rng, piece)))
        misread.append(PanelInput(text=panel.text and noisy_text(rng, panel.text)))
    reads = "text" in encoder.modalities
    spoken = [panel for panel in panels if panel.text is not None]
    none = np.zeros((len(panels), encoder.config.dimensions), np.float32)
    words, wrong = none.copy(), none.copy()
    if reads and spoken:
        words[said] = encoder.encode([PanelInput(text=panel.text) for panel in spoken])
        wrong[said] = encoder.encode([one for one in misread if one.text])
    fused = encoder.encode([_known(panel) for panel in panels])
    pictures = encoder.encode([PanelInput(panel.crop) for panel in panels])
    both = [PanelInput(one.crop, text=other.text) for one, other in zip(spoiled, misread, strict=True)]
    asked = {
        "crop_to_panel": (encoder.encode(pieces), fused, everyone, True),
        "image_to_text": (pictures, words, said, reads),
        "text_to_image": (words, pictures, said, reads),
        "noisy": (encoder.encode(both), fused, everyone, True),
        "noisy_no_text": (encoder.encode(spoiled), fused, everyone, True),
        "noisy_no_picture": (wrong, fused, said, reads),
    }
    measures: Measures = {}
    for name, (queries, answers, which, able) in asked.items():
        # Among panels with words the answer must have some; everything else is asked among all.
        gallery = which if name in ("image_to_text", "text_to_image") else everyone
        scores = (queries @ answers.T)[which][:, gallery]
        own = np.flatnonzero(which[gallery])
        measures |= recalls(name, scores, own, alike[which][:, gallery], able=able)
    return measures


def _masked(encoder: Encoder, pages: Sequence[CorpusPage], alike: Flags) -> Measures:
    """A panel found by the others of its page and its box, among all panels but those others: they are seen already.

    The candidates are pictures and words without their place, so that the box cannot find them.
    """
    panels = [panel for page in pages for panel in page.panels]
    able = encoder.net.sequence is not None
    scores: list[Vectors] = []
    ruled: list[Vectors] = []
    own, left_out = [], []
    content = encoder.encode([PanelInput(panel.crop, text=panel.text) for panel in panels])
    start = 0
    for page in pages:
        members = np.arange(start, start + len(page.panels))
        start += len(page.panels)
        if len(members) < 2:
            continue
        guesses = encoder.predict_panels([_known(panel) for panel in page.panels]) if able else content[members]
        for member, guess in zip(members, guesses, strict=True):
            mates = members[members != member]
            scores.append(content @ guess)
            ruled.append(content @ content[mates].sum(0))
            own.append(member)
            left_out.append(alike[member] | np.isin(np.arange(len(panels)), mates))
    if not scores:
        return {}
    places, hidden = np.array(own), np.stack(left_out)
    measures = recalls("masked_panel", np.stack(scores), places, hidden, able=able)
    rule = recalls("masked_panel", np.stack(ruled), places, hidden, able=True)
    return measures | {f"{name}_neighbours": rule[name] for name in rule if not name.endswith("_chance")}


def _reading_path(encoder: Encoder, model: TrainingNet, pages: Sequence[CorpusPage]) -> Measures:
    """Which panel, or none, comes after each: by content, by chance and by position."""
    right, ruled, chances = [], [], []
    for page in pages:
        count = len(page.panels)
        if count < 2:
            continue
        # Shuffled, so that not even the order of the questions tells.
        shuffled = np.random.default_rng([11, page.number, count]).permutation(count)
        vectors = encoder.encode([PanelInput(page.panels[k].crop, text=page.panels[k].text) for k in shuffled])
        device = next(model.parameters()).device
        there = torch.ones((1, count), dtype=torch.bool, device=device)
        scores = model.reading_path(torch.from_numpy(vectors)[None].to(device), there)[0].float().cpu().numpy()
        place = {int(panel): row for row, panel in enumerate(shuffled)}
        order = reading_order([panel.layout.box for panel in page.panels], direction=page.direction)
        for panel in range(count):
            right.append(int(scores[place[panel]].argmax()) == place.get(panel + 1, count))
            after = order.index(panel) + 1
            ruled.append((order[after] if after < count else count) == panel + 1)
            chances.append(1 / count)
    if not right:
        return {}
    return {
        "reading_path": float(np.mean(right)),
        "reading_path_chance": float(np.mean(chances)),
        "reading_path_geometric": float(np.mean(ruled)),
    }


def _page_order(encoder: Encoder, model: TrainingNet, pages: Sequence[CorpusPage]) -> Measures:
    """Following, swapped or unrelated: of each couple of pages that follow each other, all three questions."""
    if encoder.net.sequence is None:
        return {}
    encoded = encoder.encode_pages([PageInput(None, [_known(panel) for panel in page.panels]) for page in pages])
    vectors = torch.from_numpy(np.stack([page.page for page in encoded])).to(next(model.parameters()).device)
    questions: list[tuple[int, int, int]] = []
    for first, second in ((k, k + 1) for k in range(len(pages) - 1)):
        if not follows(pages[first], pages[second]):
            continue
        others = [k for k, page in enumerate(pages) if page.comic != pages[first].comic] or [
            k
            for k, page in enumerate(pages)
            if page.comic == pages[first].comic and abs(page.number - pages[first].number) > 1
        ]
        if not others:
            continue
        stranger = others[int(np.random.default_rng([13, first]).integers(len(others)))]
        questions += [(first, second, FORWARD), (second, first, SWAPPED), (first, stranger, UNRELATED)]
    if not questions:
        return {}
    asked = torch.tensor(questions, device=vectors.device)
    answers = model.page_order(vectors[asked[:, 0]], vectors[asked[:, 1]]).argmax(1)
    return {"page_order": float((answers == asked[:, 2]).float().mean()), "page_order_chance": 1 / 3}


def recalls(name: str, scores: Vectors, own: NDArray[np.int64], left_out: Flags, *, able: bool) -> Measures:
    """`<name>_r1` and `_r10` of queries with `scores` (Q, G), whose answers are the columns `own` (Q,), with chances.

    `left_out` (Q, G) are no candidates. Nothing without queries or with nothing to choose from; ties count as lost.
    """
    if scores.shape[0] == 0 or scores.shape[1] < 2:
        return {}
    rows = np.arange(len(own))
    left_out = left_out.copy()
    left_out[rows, own] = False
    better = (scores >= scores[rows, own][:, None]) & ~left_out
    better[rows, own] = False
    rank = better.sum(1)
    candidates = (~left_out).sum(1)
    measures = {}
    for depth in (1, 10):
        chance = float(np.minimum(1.0, depth / candidates).mean())
        measures[f"{name}_r{depth}"] = float((rank < depth).mean()) if able else chance
        measures[f"{name}_r{depth}_chance"] = chance
    return measures
