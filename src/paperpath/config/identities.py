"""The system users that the processes run as when the service starts as root (ARCHITECTURE, Processes)."""

PROCESS_USERS = {
    "receive": "paperpath-receive",
    "inspect": "paperpath-inspect",
    "sign": "paperpath-sign",
    "queue": "paperpath-queue",
    "remote": "paperpath-remote",
    "auth": "paperpath-auth",
    "auth.tokens": "paperpath-tokens",
    "pop3": "paperpath-pop3",
    "guard": "paperpath-guard",
    "admin": "paperpath-admin",
}
"""Process to user; each user has a group of the same name.  `supervise` and `local`'s root half stay root."""

MAIL_USER = "paperpath-mail"
"""Owner of the mailboxes of `paperpath account`."""

AUTH_USER = PROCESS_USERS["auth"]
QUEUE_USER = PROCESS_USERS["queue"]

ALL_USERS = (*PROCESS_USERS.values(), MAIL_USER)
