"""The page network: a page's panels in reading order, each seen among the others.

    token      h⁰ᵢ = √D W fᵢ + place(pᵢ),   or   mask + place(pᵢ)   where panel i is hidden
    context    cᵢ = unit( fᵢ + U hᵢ ),   or   unit( unit( mean of the others' f ) + G hᵢ )   where panel i is hidden
    page       g  = unit( mean f )  +  V Σ αᵢ hᵢ,   α = softmax( q·K hᵢ / √w )

f are fused panel vectors and p where a panel truly stands: its layout features and its place in the reading order. U,
G and V start at zero: a new network gives each panel its own vector, a hidden one the mean of the others, and each page
the mean of its panels. Nothing of a hidden panel but its place enters: neither its token nor any mean has its vector.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from shared.nn.layout_features import LAYOUT_FEATURES

PLACE_FEATURES = LAYOUT_FEATURES + 3


class Layer(nn.Module):
    """One pre-norm Transformer layer without dropout."""

    def __init__(self, *, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.inner_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """(P, L, W) and which tokens may be looked at, (P, 1, 1, L) bool → (P, L, W)."""
        pages, length, width = tokens.shape
        mixed = self.mix(self.attention_norm(tokens)).view(pages, length, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        tokens = tokens + self.join(found.transpose(1, 2).reshape(pages, length, width))
        inner: Tensor = self.outer(functional.gelu(self.inner(self.inner_norm(tokens))))
        return tokens + inner


class PageNetwork(nn.Module):
    """A Transformer over the panels of a page; the module's docstring has the formulas."""

    def __init__(self, *, dimensions: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.scale = dimensions**0.5  # numbers of unit vectors are small beside those of places
        self.token = nn.Linear(dimensions, width, bias=False)
        self.place = nn.Sequential(nn.Linear(PLACE_FEATURES, width), nn.GELU(), nn.Linear(width, width))
        self.mask = nn.Parameter(torch.zeros(width))
        self.layers = nn.ModuleList(Layer(width=width, heads=heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.to_context = nn.Linear(width, dimensions)
        self.key = nn.Linear(width, width)
        self.query = nn.Parameter(torch.randn(width) * width**-0.5)
        self.to_guess, self.to_page = nn.Linear(width, dimensions), nn.Linear(width, dimensions)
        for last in (self.to_context, self.to_guess, self.to_page):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self, fused: Tensor, places: Tensor, there: Tensor, hidden: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Fused vectors (P, L, D), places (P, L, PLACE_FEATURES), which are panels and not padding, (P, L) bool.

        → context (P, L, D) of unit vectors and page (P, D), not yet of unit length. `hidden`, (P, L) bool, are the
        panels to be guessed. Every page needs a panel.
        """
        shown = there if hidden is None else there & ~hidden
        # where, not a product: what padding holds must not matter, were it infinite.
        own = torch.where(shown[..., None], fused, 0.0)
        total = own.sum(1)
        tokens = torch.where(shown[..., None], self.token(own * self.scale), self.mask.to(own.dtype)) + self.place(
            places
        )
        for layer in self.layers:
            tokens = layer(tokens, there[:, None, None, :])
        states = self.norm(tokens)
        told = own + self.to_context(states)
        if hidden is not None:
            guess = functional.normalize(total, dim=1)[:, None] + self.to_guess(states)
            told = torch.where(hidden[..., None], guess, told)
        context = functional.normalize(told, dim=2)
        scores = (self.key(states) @ self.query) * self.query.shape[0] ** -0.5
        weights = torch.where(there, scores, -torch.inf).softmax(1)
        page = functional.normalize(total, dim=1) + self.to_page((weights[..., None] * states).sum(1))
        return context, page


def places_of(layouts: Tensor, known: Tensor, positions: Tensor, counts: Tensor) -> Tensor:
    """Layout features (N, F), whether known (N,), index and number of panels of the page → (N, PLACE_FEATURES).

    The reading order is always known, so panels without a box still have a place.
    """
    index, count = positions.to(layouts.dtype), counts.to(layouts.dtype)
    order = torch.where(count > 1, 2 * index / (count - 1).clamp(min=1) - 1, 0.0)
    own = torch.where(known[:, None], layouts, 0.0)
    return torch.cat([own, torch.stack([known.to(layouts.dtype), order, index / 12], 1)], 1)
