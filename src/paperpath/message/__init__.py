"""What can be told or written from a message's bytes: header scan, trace lines, delivery reports.  Pure."""
