"""A resolver with typed results."""
