"""The objective *context-denoise*: base, spoiled panels, and hidden panels found among spoiled neighbours.

denoise        as in `denoise`
masked_panel   as in `context`, but the neighbours are spoiled and the targets are the teacher's, undisturbed
"""

from services.training.objectives import base, context, denoise
from services.training.objectives.terms import Terms
from services.training.seen import CONTENT, Seen


def losses(seen: Seen) -> Terms:
    """Base and both terms."""
    terms = base.losses(seen)
    denoise.add(terms, seen)
    context.add(terms, seen, neighbours=seen.noisy.fused(), targets=seen.clean.fused(only=CONTENT))
    return terms
