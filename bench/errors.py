"""What can go wrong in a benchmark."""


class BenchError(Exception):
    """The measurement could not be made; the text says what happened, for the person at the terminal."""
