"""Panels and texts that a comic's own files state: a module for each form they come in."""
