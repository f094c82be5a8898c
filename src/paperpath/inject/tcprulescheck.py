"""tcprulescheck: tells what a table of access rules says about a connection (qmail-interfaces 19.3)."""

import os

from paperpath.base.cdb import Cdb
from paperpath.base.tcp_rules import judge
from paperpath.inject.command import TEMPORARY, fatal, reason, usage
from paperpath.system import injection


def main(argv: list[str]) -> int:
    """Print what the connection that the environment describes would get."""
    if len(argv) < 2:
        return usage("tcprulescheck rules.cdb")
    environment = os.environb
    try:
        with open(argv[1], "rb") as file:
            table = Cdb(file.read())
        address = environment.get(b"TCPREMOTEIP", b"0.0.0.0")
        verdict = judge(table, address, environment.get(b"TCPREMOTEHOST"), environment.get(b"TCPREMOTEINFO"))
    except (OSError, ValueError) as error:
        text = reason(error) if isinstance(error, OSError) else str(error)
        return fatal("tcprulescheck", f"unable to read {argv[1]}: {text}", TEMPORARY)
    lines = [b"default:" if verdict.rule is None else b"rule " + verdict.rule + b":"]
    lines += [b"set environment variable " + variable for variable in verdict.variables]
    lines.append(b"deny connection" if verdict.is_refused else b"allow connection")
    injection.write_all(1, b"".join([line + b"\n" for line in lines]))
    return 0
