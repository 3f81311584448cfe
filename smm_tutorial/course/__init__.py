"""Tools that run the course: install missing packages, open JupyterLab, make the notebooks."""
