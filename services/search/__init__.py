"""Embedding, the index, and queries by picture and by words."""
