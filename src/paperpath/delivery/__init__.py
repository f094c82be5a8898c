"""Carrying out delivery instructions as the recipient: dot-qmail files, Maildirs, mboxes, programs, forwards."""
