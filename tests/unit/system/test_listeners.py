import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from paperpath.system.listeners import listen_tcp, listen_unix, lock_file


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tcp_listener_takes_connections(host: str) -> None:
    with listen_tcp(host, 0) as listener, socket.create_connection(listener.getsockname()[:2]) as client:
        accepted, address = listener.accept()
        with accepted:
            assert address == client.getsockname()


def test_tcp_listener_takes_a_port_again_at_once() -> None:
    with listen_tcp("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address), listener.accept()[0] as accepted:
            accepted.close()
    with listen_tcp(*address):
        pass


def test_ipv6_listener_leaves_ipv4_alone() -> None:
    with listen_tcp("::", 0) as six, listen_tcp("0.0.0.0", six.getsockname()[1]):
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_port_of_somebody_else_is_an_os_error() -> None:
    with listen_tcp("127.0.0.1", 0) as taken, pytest.raises(OSError):
        listen_tcp(*taken.getsockname())


def test_unix_listener_has_its_mode_and_takes_connections(tmp_path: Path) -> None:
    path = tmp_path / "door"
    with listen_unix(str(path), 0o640), socket.socket(socket.AF_UNIX) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        client.connect(str(path))


def test_socket_left_over_gives_way(tmp_path: Path) -> None:
    path = str(tmp_path / "door")
    listen_unix(path, 0o600).close()
    with listen_unix(path, 0o600), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def make_file(path: Path) -> None:
    path.write_text("precious")


def make_link(path: Path) -> None:
    path.with_name("other").write_text("precious")
    path.symlink_to("other")


@pytest.mark.parametrize("make", [make_file, make_link, Path.mkdir])
def test_anything_else_of_that_name_stays(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "door"
    make(path)
    with pytest.raises(OSError):
        listen_unix(str(path), 0o600)
    assert path.is_dir() or path.read_text() == "precious"


def test_path_too_long_for_a_socket_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        listen_unix(str(tmp_path / ("x" * 120)), 0o600)


def test_lock_is_held_by_one_until_it_lets_go(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = lock_file(path)
    assert first is not None
    assert not os.get_inheritable(first)
    assert lock_file(path) is None
    os.close(first)
    second = lock_file(path)
    assert second is not None
    os.close(second)


def test_lock_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(OSError):
        lock_file(str(tmp_path / "lock"))
