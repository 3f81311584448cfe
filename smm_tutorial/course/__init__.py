"""What runs the course: install what a notebook lacks, open JupyterLab, make the notebooks."""
