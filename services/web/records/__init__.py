"""Comics as their screens show them: what is said about one, and the shelves that the library is narrowed to."""
