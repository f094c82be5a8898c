"""What the kernel knows about addresses of this machine."""

import socket


def is_own_address(address: str) -> bool:
    """Tell whether an IP address belongs to this machine: the kernel lets nobody bind another's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.bind((address, 0))
    except OSError:
        return False
    return True
