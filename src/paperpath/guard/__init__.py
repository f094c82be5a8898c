"""`guard`: counts what clients do over all processes, and says who is banned.

Runs as ``paperpath-guard``, without network and without mail.  Reads and writes the bans it keeps, in a folder of its
own.  Believes the kernel about who is calling; of what callers say it believes counts and offences, and bans no trusted
network whatever they say.  An intruder here can ban strangers or let them in; no mail, no password, no account.
"""
