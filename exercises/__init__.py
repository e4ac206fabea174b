"""Exercises that check themselves: README.md says how. Not part of the package."""
