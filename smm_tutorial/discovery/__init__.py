"""Object discovery: a network that has seen pictures only takes them apart into objects.

`DiscoveryRun` holds the choices of a run, `train` trains it. `segment` and `score` tell how well.
"""
