"""Scenes that this library draws and renders itself.

`clevr6` reads the committed packs; `rendered` renders more, and other scenes, on this machine when
they are asked for. `rendering` draws and renders for both, `packs` is the file format of both.
"""
