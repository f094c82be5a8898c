"""`remote`: takes mail from the queue to other servers.  DNS, SMTP client, TLS policy.

Runs as paperpath-remote.  Reads no file but /etc/resolv.conf and the descriptors that come with jobs; writes none.
Believes the queue; believes neither name servers nor peers beyond what one of them can do to its own mail.  An intruder
inside reads mail that leaves and can say that it was delivered; it reaches no account and no stored mail.
"""
