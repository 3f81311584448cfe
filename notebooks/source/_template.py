# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # NN · Title of the notebook
#
# [The source of this notebook](source/_template.py)
#
# **What you will do.** Normalise the rows of a table, and see why the axis matters.
#
# **What you will be able to do.** Write a normalisation that survives any number of axes.
#
# **What you need.** Arrays in numpy.
#
# **Minutes.** About 5: 5 to read, 1 to run on a laptop.

# %% tags=["setup"]
# The same cell in every notebook: it finds the course's library, or clones it by git.
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ADDRESS = "https://github.com/smm-tutorial/smm-tutorial"
if importlib.util.find_spec("smm_tutorial") is None:
    places = [Path.cwd() / "smm-tutorial", Path.cwd(), *Path.cwd().parents]
    found = [p for p in places if (p / "smm_tutorial/widgets/slots.py").is_file()]
    if not found:
        found = places[:1]
        assert not found[0].exists(), f"delete {found[0]}: half a copy of the course"
        clone = ["git", "clone", "--quiet", "--depth=1", "--branch=v0.1.0"]
        address = os.environ.get("SMM_REPOSITORY", ADDRESS)
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            subprocess.run([*clone, address, f"{folder}/course"], check=True)
            Path(folder, "course").rename(found[0])  # whole, or not there at all
    sys.path.insert(0, str(found[0]))

from smm_tutorial.course.dependencies import install_missing

install_missing()  # leaves torch and numpy as they are

# %% [markdown]
# ## One idea
#
# Say what the next cell does and why. Show the picture first.

# %%
import matplotlib.pyplot as plt
import numpy as np

from smm_tutorial.figures import show

scores = np.array([[1.0, 1.0, 2.0], [3.0, 1.0, 0.0]])
figure, axes = plt.subplots(figsize=(4, 2))
axes.imshow(scores, cmap="viridis")
axes.set(xlabel="slot", ylabel="input", title="Scores")
show(figure, alt="A table, 2 x 3; the first value of its second row is the largest.")

# %% [markdown]
# **Predict first.** What do the rows sum to, and the columns?

# %%
responsibilities = scores / scores.sum(axis=1, keepdims=True)
print("rows:", responsibilities.sum(axis=1))
print("columns:", responsibilities.sum(axis=0))

# %% [markdown]
# The rows sum to one, the columns need not: every input is shared out among the slots, no slot is promised any input.
#
# ## Your turn
#
# An exercise is a cell of its own; its task, hints, solution and typical mistakes lie in `smm_tutorial/exercises`:
#
# ```python
# @exercise("subject.step")
# def normalise(scores):
#     """Divide every row by its sum: (N, K) -> (N, K)."""
#     ...
# ```
#
# The name is then bound to a function that works, whether or not the exercise was done.

# %% [markdown]
# ## Summary
#
# One sentence for every idea.
#
# ## Further reading
#
# - [Numpy's page on broadcasting](https://numpy.org/doc/stable/user/basics.broadcasting.html):
#   the rules behind `keepdims`.
