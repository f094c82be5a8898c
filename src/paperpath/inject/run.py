"""How an injecting program begins and ends."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def run(main: "Callable[[list[str]], int]", code_if_broken: int) -> "NoReturn":
    """Run a program with this process's arguments and exit with its code.

    Our own defects and a disappearing output are temporary: ``code_if_broken`` says that in the program's language.
    Exits at once: taking an interpreter apart takes as long as the message did.
    """
    try:
        code = main(sys.argv)
        if sys.stdout is not None:  # a caller may have closed it
            sys.stdout.flush()
    except BaseException as error:
        said = f"{os.path.basename(sys.argv[0])}: fatal: {type(error).__name__}: {error}\n"
        os.write(2, said.encode(errors="replace"))
        code = code_if_broken
    os._exit(code)
