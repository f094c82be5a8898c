"""Paperpath, a mail transfer agent: what it has accepted it never loses."""

__version__ = "0.1.0"
