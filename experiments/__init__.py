"""Comparisons too long for a chapter, each a script; `results/` holds what they gave."""
