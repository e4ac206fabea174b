"""Experiments on minifcn: speed, results, and the lab report. Not part of the package."""
