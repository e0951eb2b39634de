"""Networks and their checkpoints; the only room of `shared` that may import torch."""
