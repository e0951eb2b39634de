"""What is said about a comic: a module for each kind of record, and how they come together."""
