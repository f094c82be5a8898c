"""`receive`: sessions with clients.

Runs as ``paperpath-receive``, with its listening sockets and nothing else of the host.  Believes no client.  Reaches
`queue` to hand mail in and `local` to ask who exists.  An intruder here can lie about new mail, and read what comes in
while he is there.
"""
