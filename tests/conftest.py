"""What every test shares: figures without a screen, and random examples that are the same in every run."""

import matplotlib
from hypothesis import settings

matplotlib.use("Agg")
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")
