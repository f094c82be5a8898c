"""What runs as root loads little: each module here was thought about, and so must be the next one."""

import subprocess
import sys

# Package by package: what the supervisor has loaded when it serves.
LOADED = {
    "base": {"address", "calendar", "dates", "digits", "domains", "limits", "text"},
    "config": {
        "certificates", "check", "control", "endpoints", "fields", "identities", "load", "logins", "names", "places",
        "problems", "program_values", "qmail", "routing", "schema", "schema_auth", "schema_delivery",
        "schema_fronts", "schema_pop3", "schema_sessions", "schema_tls", "section",
    },
    "process": {"child", "passes", "settings", "troubles"},
    "supervise": {"child", "common", "guarding", "logins", "mailboxes", "main", "plan"},
    "system": {
        "chance", "channel", "clock", "confine", "dropped", "files", "kernel", "listeners", "notify", "output",
        "privileges", "removal", "spawn", "users",
    },
    "telemetry": {"event", "events", "log"},
    "wire": {"frame", "logins", "supervision", "tls"},
}  # fmt: skip


def test_supervisor_loads_these_modules_and_no_other() -> None:
    code = "import sys, paperpath.supervise.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    ours = {name for name in done.stdout.split() if name.startswith("paperpath.")}
    listed = {f"paperpath.{package}.{name}" for package, names in LOADED.items() for name in names}
    assert ours == listed | {f"paperpath.{package}" for package in LOADED}
