"""How an injecting program begins and ends."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

LC_CTYPE_OF_PYTHON = "C.UTF-8"
"""What Python puts into an environment without a locale (PEP 538)."""


def run(main: "Callable[[list[str]], int]", code_if_broken: int) -> "NoReturn":
    """Run a program with this process's arguments and exit with its code.

    Our own defects and a disappearing output are temporary: ``code_if_broken`` says that in the program's language.
    Exits at once: taking an interpreter apart takes as long as the message did.
    """
    try:
        if os.environ.get("LC_CTYPE") == LC_CTYPE_OF_PYTHON:
            from paperpath.system.locale import forget_own_locale  # for a user who has no locale

            forget_own_locale()
        code = main(sys.argv)
        if sys.stdout is not None:  # a caller may have closed it
            sys.stdout.flush()
    except BaseException as error:
        said = f"{os.path.basename(sys.argv[0])}: fatal: {type(error).__name__}: {error}\n"
        os.write(2, said.encode(errors="replace"))
        code = code_if_broken
    os._exit(code)
