"""How comics are read from files: containers of every format, their pages and what they say about themselves."""
