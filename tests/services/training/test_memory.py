"""A GPU of eight gigabytes is enough for the largest configuration that the documentation recommends."""

from services.training.memory import training_memory


def test_eight_pages_train_in_eight_gigabytes_with_recomputing() -> None:
    memory = training_memory(pages=8, panels=6, tokens=256, recompute=True)
    weights = 4 * 112e6  # ViT-base has 86 million, MiniLM-L6 23 million, ours the rest
    assert abs(memory.parameters / weights - 1) < 0.05
    assert memory.optimiser == 2 * memory.parameters
    # Each layer keeps at least its input, in float32, for each of the three views that need a gradient.
    assert memory.activations > 3 * 12 * 48 * 197 * 768 * 4
    assert memory.recomputed > 0
    assert memory.total < 8e9
