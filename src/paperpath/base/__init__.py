"""Values everyone speaks: addresses, replies, outcomes, limits, dates.  Pure: no I/O, no clock, no
randomness."""
