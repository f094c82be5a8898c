"""The folders that must be there, and who may go into them."""

from paperpath.config.identities import ALL_USERS
from paperpath.config.layout import Folder, layout
from paperpath.config.schema import Config


def test_with_separate_users_each_holds_its_own() -> None:
    assert layout(Config(hostname="a.test"), system=True) == (
        Folder("/var/lib/paperpath", 0o755, "root", "root"),
        Folder("/var/lib/paperpath/queue", 0o700, "paperpath-queue", "paperpath-queue"),
        Folder("/var/lib/paperpath/spool", 0o700, "paperpath-receive", "paperpath-receive"),
        Folder("/var/lib/paperpath/drop", 0o3733, "paperpath-receive", "paperpath-receive"),
        Folder("/var/lib/paperpath/mail", 0o750, "paperpath-mail", "paperpath-mail"),
        Folder("/var/lib/paperpath/accounts", 0o750, "root", "paperpath-auth"),
        Folder("/var/lib/paperpath/guard", 0o700, "paperpath-guard", "paperpath-guard"),
        Folder("/var/lib/paperpath/logins", 0o700, "paperpath-auth", "paperpath-auth"),
        Folder("/run/paperpath", 0o755, "root", "root"),
    )


def test_without_them_nobody_else_looks_in() -> None:
    *private, drop = layout(Config(hostname="a.test"), system=False)
    assert all(folder.mode == 0o700 and not folder.user for folder in private)
    # It lies in one of the others.
    assert (drop.path, drop.mode) == ("/var/lib/paperpath/drop", 0o3733)


def test_every_owner_is_a_user_that_is_made() -> None:
    owners = {name for folder in layout(Config(hostname="a.test"), system=True) for name in (folder.user, folder.group)}
    assert owners <= {"root", *ALL_USERS}
