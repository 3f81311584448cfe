"""Use a GPU for a few minutes: `python -m smm_tutorial.gpu_tier --minutes 9 --out DIR`.

First, checks show that everything works on the machine: the tests that need a GPU, and every
notebook. Meanwhile, several processes train on the one GPU, with both slot modules: object
discovery and image reconstruction at 64 pixels, and set prediction at 128 pixels. Each run measures
its own speed while the other runs work, and then chooses how many steps fit into its time. Records
and checkpoints are collected as runs finish.
"""
