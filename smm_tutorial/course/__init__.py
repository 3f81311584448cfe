"""What runs the course rather than teaches it: open it, fetch what it needs, make its notebooks."""
