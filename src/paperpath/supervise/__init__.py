"""`supervise`: opens ports and sockets, starts, restarts, reloads and stops the other processes.

Runs as root where the service has root, else as the caller.  Holds nothing, reads no mail and no network: of what the
others say it understands two words.  An intruder here gains everything.
"""
