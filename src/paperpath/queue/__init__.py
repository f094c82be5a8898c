"""`queue`: owns the store, schedules deliveries, composes reports.

Runs as ``paperpath-queue``.  Holds the store.  Believes nobody: submitters, agents and operators are checked by the
user id that the kernel names and by the type of every frame.  An intruder here can lose or repeat mail, and reach no
account.
"""
