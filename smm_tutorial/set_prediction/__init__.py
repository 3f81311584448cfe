"""Set prediction: what is where, one vector per slot, learned from scene records.

`SetPredictionRun` holds the choices of a run, `train` trains it.
"""
