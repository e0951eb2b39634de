"""What is kept: bytes by hash, vectors in segments, rows in PostgreSQL."""
