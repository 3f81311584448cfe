"""What a GPU is for, in minutes that are given: `python -m smm_tutorial.gpu_tier --minutes 9`.

First it proves that everything works there: the tests that need a GPU, and every notebook. Then it
trains, several runs at once as processes on the one GPU: object discovery at 64 pixels and set
prediction at 128, with both slot modules. Each run measures its speed beside the others, and takes
as many steps as fit into the minutes. Records and checkpoints are collected as runs finish.
"""
