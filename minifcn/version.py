"""The version of minifcn, which every run's config.json and pyproject.toml repeat."""

VERSION = "0.1.0"
