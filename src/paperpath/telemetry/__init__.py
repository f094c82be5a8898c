"""Declared events, log lines, counters."""
