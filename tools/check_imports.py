"""Check that imports point down, and that only `paperpath.system` meets the kernel.

Paperpath's processes distrust one another, and its pure layers can be tested without a socket or a clock.
Both hold only while nobody imports across, so the table is kept here as data and `make check` compares:

* a folder imports only what ALLOWED names for it; process folders never import one another, they talk in the
  frames of `paperpath.wire`;
* the pure folders do no I/O, read no clock and draw no randomness: time and chance are their arguments;
* only `paperpath.system` opens for writing, renames, links, syncs, spawns and changes users. The crash tests
  replace it by a recorder, and a call that goes around it is a call no power cut was ever staged for.

The check reads the source (it never imports it) and sees what is spelled out: imports at any depth, dotted
names under any alias, `import_module("literal")`. It is a guard against drift, not against an attacker.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = "paperpath"

# --- the table ---------------------------------------------------------------------------------------------

PURE: Final = frozenset({"base", "message", "protocol", "wire"})
LAYERS: Final = PURE | {"system", "config", "telemetry", "dns", "store"}
PROCESSES: Final = frozenset(
    {"supervise", "receive", "queue", "local", "remote", "auth", "pop3", "guard", "inject", "cli"}
)

# Folder -> the folders it may import besides itself. `paperpath/__init__.py` (the version) is open to all.
ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "base": frozenset(),
    "message": frozenset({"base"}),
    "protocol": frozenset({"base", "message"}),
    "wire": frozenset({"base"}),
    "system": frozenset({"base", "wire"}),
    "config": PURE | {"system"},
    # Below config although it stands after it in the list: whoever reads a setting may have to log about it.
    "telemetry": frozenset({"base", "wire", "system"}),
    "dns": PURE | {"system", "config", "telemetry"},
    "store": PURE | {"system", "config", "telemetry"},
    # Not in the design's list: what the long-lived processes share in being processes (ARCHITECTURE.md, deviations).
    "process": LAYERS,
    # Not in the design's list either: carrying out dot-qmail files, which a worker of `local` does in the service
    # and qmail-local without one (ARCHITECTURE.md, deviations).
    "delivery": LAYERS | {"process"},
    **dict.fromkeys(sorted(PROCESSES), LAYERS | {"process"}),
    **dict.fromkeys(("local", "inject", "cli"), LAYERS | {"process", "delivery"}),
    "__main__": frozenset({"cli"}),  # `python -m paperpath`
    "__init__": frozenset(),
}

# (importing folder, imported module) -> why. Such an import must stand inside a function, so that it is paid
# for only where it is needed.
EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {
    (
        "cli",
        "paperpath.supervise.main",
    ): "`paperpath serve` becomes the supervisor in the process it was started in",
}

# Modules a pure folder may not import.
IMPURE: Final = frozenset(
    {
        # the kernel
        "os", "io", "pathlib", "shutil", "tempfile", "glob", "fileinput", "mmap", "fcntl", "ctypes",
        "resource", "signal", "pwd", "grp", "select", "selectors", "socket", "socketserver", "ssl",
        "subprocess", "pty", "importlib", "runpy", "locale", "getpass", "platform",
        # concurrency
        "asyncio", "threading", "multiprocessing", "concurrent", "queue", "sched", "uvloop",
        # clock and chance
        "time", "zoneinfo", "random", "secrets", "uuid",
        # the outside world
        "logging", "warnings", "sqlite3", "apsw", "dns", "http", "urllib", "smtplib", "ftplib",
        "click", "rich",
    }
)  # fmt: skip

# Modules only `paperpath.system` may import, and what to do instead.
SYSTEM_MODULES: Final[Mapping[str, str]] = {
    "subprocess": "start processes through paperpath.system",
    "multiprocessing": "start processes through paperpath.system",
    "pty": "start processes through paperpath.system",
    "fcntl": "lock and flag descriptors through paperpath.system",
    "ctypes": "put the kernel call into paperpath.system",
    "tempfile": "temporary files come from paperpath.system",
}

# Modules nobody may import, and why.
NOWHERE: Final[Mapping[str, str]] = {
    "pickle": "it runs what it reads; frames and stored values are msgspec",
    "marshal": "it trusts what it reads; frames and stored values are msgspec",
    "shelve": "it runs what it reads; the store is paperpath.store",
    "email": "it re-serialises differently; relayed bytes are read by paperpath.message",
    "smtplib": "SMTP is spoken by paperpath.protocol",
}

_FILES: Final = "use the durable file functions of paperpath.system"
_START: Final = "start processes through paperpath.system"
_DROP: Final = "change users through paperpath.system, in its fixed order"
_CLOCK: Final = "take the time as an argument"

# Names only `paperpath.system` may use, and what to do instead.
SYSTEM_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "os.open", "os.rename", "os.renames", "os.replace", "os.link", "os.symlink", "os.unlink",
            "os.remove", "os.fsync", "os.fdatasync", "os.sync", "os.truncate", "os.ftruncate", "os.mkfifo",
            "os.mknod", "shutil.move", "shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree",
            "shutil.rmtree",
        ),
        _FILES,
    ),
    **dict.fromkeys(
        (
            "os.fork", "os.forkpty", "os.system", "os.popen", "os.posix_spawn", "os.posix_spawnp",
            "os.execl", "os.execle", "os.execlp", "os.execlpe",
            "os.execv", "os.execve", "os.execvp", "os.execvpe",
            "os.spawnl", "os.spawnle", "os.spawnlp", "os.spawnlpe", "os.spawnv", "os.spawnve", "os.spawnvp",
            "os.spawnvpe", "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell",
        ),
        _START,
    ),
    **dict.fromkeys(
        (
            "os.setuid", "os.seteuid", "os.setreuid", "os.setresuid", "os.setgid", "os.setegid",
            "os.setregid", "os.setresgid", "os.setgroups", "os.initgroups", "os.chroot",
        ),
        _DROP,
    ),
}  # fmt: skip

# Names a pure folder may not use although their module is harmless.
IMPURE_NAMES: Final[Mapping[str, str]] = {
    "datetime.datetime.now": _CLOCK,
    "datetime.datetime.utcnow": _CLOCK,
    "datetime.datetime.today": _CLOCK,
    "datetime.date.today": _CLOCK,
    "print": "return the text, or emit an event from the process that calls",
    "open": "take the bytes as an argument",
}

# Methods by which pathlib writes. Their names are peculiar enough to be told without the type of the object.
PATH_WRITERS: Final = frozenset({"write_text", "write_bytes", "symlink_to", "hardlink_to"})


# --- the check ---------------------------------------------------------------------------------------------


class Violation(NamedTuple):
    """One broken rule: where, what, and what to do."""

    file: str
    line: int
    rule: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.remedy}"


class Imported(NamedTuple):
    """One module named by an import, in full, and whether the import waits inside a function."""

    module: str
    line: int
    lazy: bool


def check_tree(source: Path) -> list[Violation]:
    """Check every module under `source`, the folder that holds the package."""
    violations: list[Violation] = []
    for path in sorted((source / PACKAGE).rglob("*.py")):
        violations += check_module(path.relative_to(source).as_posix(), path.read_bytes())
    return violations


def check_module(file: str, text: bytes | str) -> list[Violation]:
    """Check one module; `file` is its path below the source folder, such as paperpath/base/address.py."""
    tree = ast.parse(text, file)
    parts = file.removesuffix(".py").split("/")
    folder = parts[1]
    if folder not in ALLOWED:
        remedy = "put the code into a folder of the table, or change the table in tools/check_imports.py"
        return [Violation(file, 1, f"{PACKAGE}/{folder} has no place in the table", remedy)]
    found: list[Violation] = []
    for imported in _imports(tree, parts):
        found += (Violation(file, imported.line, *broken) for broken in _judge_import(folder, imported))
    for name, line in _names(tree):
        found += (Violation(file, line, *broken) for broken in _judge_name(folder, name))
    if folder != "system":
        found += (Violation(file, line, *broken) for line, broken in _writing_calls(tree))
    return sorted(set(found), key=lambda violation: (violation.line, violation.rule))


def _judge_import(folder: str, imported: Imported) -> Iterator[tuple[str, str]]:
    """Yield (rule, remedy) for each rule that this import breaks."""
    top, _, rest = imported.module.partition(".")
    if top == PACKAGE:
        yield from _judge_own_import(folder, imported, rest.partition(".")[0])
        return
    if top in NOWHERE:
        yield f"nobody imports {top}", NOWHERE[top]
    elif folder in PURE and top in IMPURE:
        remedy = "move what needs it into a layer below, and hand its result over as an argument"
        yield f"{folder} is pure and may not import {top}", remedy
    elif folder != "system" and top in SYSTEM_MODULES:
        yield f"only system imports {top}", SYSTEM_MODULES[top]


def _judge_own_import(folder: str, imported: Imported, target: str) -> Iterator[tuple[str, str]]:
    if target in {"", folder, "__init__"} or target in ALLOWED[folder]:
        return
    if (folder, imported.module) in EXCEPTIONS:
        if not imported.lazy:
            yield f"{folder} may import {imported.module} only inside a function", "move the import there"
        return
    rule = f"{folder} may not import {PACKAGE}.{target}"
    if folder in PROCESSES and target in PROCESSES:
        yield (
            rule,
            "processes talk in the frames of paperpath.wire; what both need belongs in a layer above them",
        )
    else:
        allowed = ", ".join(sorted(ALLOWED[folder])) or "nothing of ours"
        yield rule, f"it may import {allowed}"


def _judge_name(folder: str, name: str) -> Iterator[tuple[str, str]]:
    if folder != "system" and name in SYSTEM_NAMES:
        yield f"only system uses {name}", SYSTEM_NAMES[name]
    elif folder in PURE and name in IMPURE_NAMES:
        yield f"{folder} is pure and may not use {name}", IMPURE_NAMES[name]


def _imports(tree: ast.Module, parts: list[str]) -> Iterator[Imported]:
    """Yield every module imported anywhere in `tree`; `parts` is the path of the module that does it."""
    for node, lazy in _walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            # A leading dot is the importer's own package, each further one its parent.
            base = parts[: len(parts) - node.level] if node.level else []
            module = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            if module == PACKAGE:  # from paperpath import base
                submodules = [alias.name for alias in node.names if alias.name in ALLOWED]
                yield from (Imported(f"{PACKAGE}.{name}", node.lineno, lazy) for name in submodules)
            else:
                yield from (Imported(name, node.lineno, lazy) for name in _submodules(module, node))
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
            argument = node.args[0] if node.args else None
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield Imported(argument.value, node.lineno, lazy)


def _submodules(module: str, node: ast.ImportFrom) -> Iterator[str]:
    """Yield what `from module import ...` may load: the module, or a listed exception below it."""
    for alias in node.names:
        full = f"{module}.{alias.name}"
        yield full if any(full == exception for _, exception in EXCEPTIONS) else module


def _names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield (full dotted name, line) for every name used, with import aliases resolved."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                aliases[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}", node.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            dotted = _dotted(node)
            if dotted:
                first, dot, rest = dotted.partition(".")
                yield aliases.get(first, first) + dot + rest, node.lineno


def _writing_calls(tree: ast.Module) -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield (line, (rule, remedy)) for calls that open for writing, or may."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in PATH_WRITERS:
            yield node.lineno, (f"only system writes files, and .{node.func.attr}() does", _FILES)
        elif _called(node) == "open" and _may_write(node):
            yield node.lineno, ("only system opens for writing", _FILES)


def _may_write(call: ast.Call) -> bool:
    """Tell whether this open() may write.

    open() and io.open() take the mode second, and one that is computed may be any. Path.open() takes it
    first; other objects have an open() too, so there only a literal that reads like a mode counts. os.open()
    takes none, and has a rule of its own.
    """
    builtin = _dotted(call.func) in {"open", "io.open"}
    if _dotted(call.func) == "os.open":
        return False
    mode = next((keyword.value for keyword in call.keywords if keyword.arg == "mode"), None)
    if mode is None:
        mode = next(iter(call.args[1:] if builtin else call.args), None)
    if isinstance(mode, ast.Constant) and isinstance(mode.value, str):
        letters = set(mode.value)
        return letters <= set("rwaxbt+") and bool(letters & set("wax+"))
    return builtin and mode is not None


def _walk(tree: ast.AST, lazy: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Like ast.walk, and tells of each node whether it lies inside a function."""
    for node in ast.iter_child_nodes(tree):
        yield node, lazy
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk(node, inside)


def _called(call: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _dotted(node: ast.expr) -> str:
    """Return a.b.c for a chain of plain names, and nothing for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        below = _dotted(node.value)
        return f"{below}.{node.attr}" if below else ""
    return ""


def main() -> int:
    """Check the source tree of this repository; the exit code is 1 when a rule is broken."""
    violations = check_tree(ROOT / "src")
    for violation in violations:
        print(f"src/{violation}")
    if violations:
        print(f"{len(violations)} found; the table is at the top of tools/check_imports.py", file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
