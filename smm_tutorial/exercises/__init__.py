"""Exercises that check themselves: `exercise`, `hint` and `solution`; the tasks lie in `nbNN_*.py`,
NN being the notebook.
"""

from smm_tutorial.exercises.core import exercise, hint, solution

__all__ = ["exercise", "hint", "solution"]
