"""`pop3`: sessions with clients that fetch their mail.

Runs as ``paperpath-pop3``, with its listening sockets and nothing else of the host.  Believes no client; `auth`, about
who logged in; readers of `local`, about what is in a mailbox that they opened.  Opens no file: messages come to it as
descriptors to read from.  An intruder here can read and remove mail of those who are logged in or log in while he is
there, and learns their passwords where clients send them; of nobody else.
"""
