"""The objective *denoise*: base, and a spoiled panel finds its undisturbed self as a slow teacher sees it.

    denoise   InfoNCE( fused_student(spoiled), sg fused_teacher(clean) )

The picture is noisy, covered or missing, the words misread, out of order, lost or missing. The teacher's weights follow
the student's as a moving average, so there is no gradient into the target and nothing to gain from shrinking it; the
gradient goes into the student's branches and fusion. Source: Vincent et al. 2010, Denoising Autoencoders; teacher as in
Tarvainen and Valpola 2017, Mean Teacher; contrastive, because a distance alone is smallest when all panels are one.
"""

from services.training.objectives import base
from services.training.objectives.terms import Terms, contrast
from services.training.seen import EVERYTHING, Seen


def losses(seen: Seen) -> Terms:
    """Base and its own term."""
    terms = base.losses(seen)
    add(terms, seen)
    return terms


def add(terms: Terms, seen: Seen) -> None:
    """The term of its own."""
    pair = seen.noisy.fused(), seen.clean.fused(only=EVERYTHING)
    contrast(terms, "denoise", 1.0, pair, seen, seen.alike)
