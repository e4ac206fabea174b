"""Training: the loop, its two tasks, the folder of a run, and evaluation."""
