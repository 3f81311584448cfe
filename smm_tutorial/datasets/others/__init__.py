"""Data sets that others made."""
