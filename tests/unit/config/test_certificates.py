"""The files of `[tls]`: read whole or not at all, and looked at for changes."""

import os
from pathlib import Path

import pytest

from paperpath.config.certificates import files_state, read_tls
from paperpath.config.schema_tls import Certificate, Tls


def tls_in(folder: Path) -> Tls:
    names = {name: str(folder / name) for name in ("a.pem", "a.key", "b.pem", "b.key")}
    for name, file in names.items():
        Path(file).write_text(name)
    other = Certificate(names=("b.test",), certificate=names["b.pem"], key=names["b.key"])
    return Tls(certificate=names["a.pem"], key=names["a.key"], relay_fingerprints=("ab",), certificates=(other,))


def test_the_pairs_are_read_in_order(tmp_path: Path) -> None:
    told = read_tls(tls_in(tmp_path))
    assert told is not None
    assert [(pair.server_names, pair.certificate, pair.key) for pair in told.pairs] == [
        ((), b"a.pem", b"a.key"),
        (("b.test",), b"b.pem", b"b.key"),
    ]
    assert told.relay_fingerprints == {"ab"}


def test_no_certificate_no_tls() -> None:
    assert read_tls(Tls()) is None
    assert files_state(Tls()) == ()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    tls = tls_in(tmp_path)
    os.unlink(tls.certificates[0].key)
    with pytest.raises(ValueError, match=r"b\.key: cannot be read: No such file"):
        read_tls(tls)


def test_a_file_is_bounded(tmp_path: Path) -> None:
    tls = tls_in(tmp_path)
    Path(tls.key).write_bytes(b"x" * 300_000)
    with pytest.raises(ValueError, match=r"a\.key: is far too long"):
        read_tls(tls)


def test_changes_are_seen(tmp_path: Path) -> None:
    tls = tls_in(tmp_path)
    before = files_state(tls)
    assert files_state(tls) == before
    for file in (tls.certificate, tls.key, tls.certificates[0].certificate, tls.certificates[0].key):
        (tmp_path / "new").write_text(Path(file).read_text())
        os.replace(tmp_path / "new", file)
        after = files_state(tls)
        assert after != before
        before = after
    os.unlink(tls.key)
    assert files_state(tls) != before
