"""Data dependencies of Python code: versioned by hash, fetched when the code needs them."""

__version__ = "2.0.0.dev0"
