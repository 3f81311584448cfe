"""Scenes that this library draws and renders itself.

`clevr6` reads the committed packs. `rendered` renders more scenes, also of other kinds, on this
machine at their first use. `rendering` draws and renders for both, and `packs` is the file format
of both.
"""
