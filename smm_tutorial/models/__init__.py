"""Whole models: image in, what a task needs out."""
