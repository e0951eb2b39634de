"""The four objectives and what each is made of."""

from services.training.objectives import base, context, context_denoise, denoise
from services.training.objectives.terms import Objective
from shared.domain.training import Option

OBJECTIVES: dict[Option, Objective] = {
    "base": Objective(base.losses),
    "denoise": Objective(denoise.losses, spoiled=True),
    "context": Objective(context.losses, neighbours=True),
    "context-denoise": Objective(context_denoise.losses, spoiled=True, neighbours=True),
}
