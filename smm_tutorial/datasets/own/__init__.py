"""Scenes that this library renders."""
