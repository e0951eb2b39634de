"""Panels in other people's formats: a module for each, what they have in common, and which page each image is."""
