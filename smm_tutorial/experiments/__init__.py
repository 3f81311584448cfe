"""What all named runs share."""
