"""Exercises that check themselves: `exercise`, `hint` and `solution`; the tasks lie in one file a notebook."""

from smm_tutorial.exercises.core import exercise, hint, solution

__all__ = ["exercise", "hint", "solution"]
