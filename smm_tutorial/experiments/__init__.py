"""The code that the runs of every task share: their names, records and files."""
