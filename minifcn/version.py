"""The version of minifcn, which every run's config.json and pyproject.toml repeat."""

__version__ = "0.1.0"
