"""Exercises that check themselves.

A notebook decorates an answer by `exercise(name)`; `hint(name)` and `solution(name)` help. Tasks of
notebook NN lie in `nbNN_subject.py`, and `core` judges the answers.
"""

from smm_tutorial.exercises.core import exercise, hint, solution

__all__ = ["exercise", "hint", "solution"]
