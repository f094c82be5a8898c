"""The `paperpath` command: what an administrator types.

Each command is a file of its own, loaded when it is called.  Runs as whoever typed it; believes the
configuration file and the queue's answers; shows bytes from strangers only through `base.text`.
"""
