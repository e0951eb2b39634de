"""REST of detection, a module for each thing that is spoken about."""
