"""The library of the SMM tutorial: from k-means and EM to the Slot Mixture Module (arXiv
2311.04640).
"""

__version__ = "0.1.0"
