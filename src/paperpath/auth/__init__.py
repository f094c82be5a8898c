"""`auth`: judges logins, and does nothing else.

Runs as: ``paperpath-auth``.  Reads: the file of accounts.  Writes: when application passwords were used last.  Talks
to: `receive` and `pop3`, Dovecot where configured, and two helpers of its own that reach what it must not:
`auth.outside` (PAM, checkpassword programs) and `auth.tokens` (HTTPS to an issuer of tokens).  Believes: nobody.
Whoever takes it over reads password hashes and the passwords of those who log in meanwhile, and can let anybody in.
"""
