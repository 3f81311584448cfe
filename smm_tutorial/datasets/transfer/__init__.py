"""Files over HTTP, and what they are packed in."""
