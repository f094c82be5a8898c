"""Where injecting programs find the server: from the values beside the configuration, or the configuration itself."""

import os
from pathlib import Path

import pytest

from paperpath.config.load import load
from paperpath.config.program_values import from_toml, parse_values, stamp_of, values_file, write_values
from paperpath.inject.places import NoConfiguration, find_places

TEXT = 'hostname = "MX.here.test"\n[paths]\nstate = "s"\nrun = "/r"\n[receive]\nmessage_size = "1MiB"\n'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "paperpath.toml"
    file.write_text(TEXT)
    monkeypatch.setenv("PAPERPATH_CONFIG", str(file))
    return file


def test_both_ways_say_the_same(config: Path) -> None:
    slow = find_places()
    write_values(load(str(config)), str(config))
    quick = find_places()
    for places in (slow, quick):
        assert places.hostname == "mx.here.test"
        assert (places.run, places.state) == ("/r", f"{config.parent}/s")
        assert places.size_most_bytes == 1 << 20
        assert (places.socket, places.drop) == ("/r/inject", f"{config.parent}/s/drop")


def test_both_ways_say_the_same_of_a_link(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = config.parent / "elsewhere" / "link.toml"
    link.parent.mkdir()
    link.symlink_to(config)
    monkeypatch.setenv("PAPERPATH_CONFIG", str(link))
    slow = find_places()
    write_values(load(str(link)), str(link))
    assert find_places().state == slow.state == f"{link.parent}/s"


def test_values_of_another_configuration_do_not_count(config: Path) -> None:
    write_values(load(str(config)), str(config))
    config.write_text(TEXT.replace('"/r"', '"/changed"'))
    assert find_places().run == "/changed"


def test_values_are_believed_where_the_stamp_is_right(config: Path) -> None:
    write_values(load(str(config)), str(config))
    file = Path(values_file(str(config)))
    file.write_text(file.read_text().replace("run /r", "run /told"))
    assert find_places().run == "/told"


def test_values_can_be_read_by_everybody(config: Path) -> None:
    write_values(load(str(config)), str(config))
    assert Path(values_file(str(config))).stat().st_mode & 0o777 == 0o644


def test_values_hold_names_with_blanks(config: Path) -> None:
    assert parse_values("run /a folder\nempty \n\nnothing") == {"run": "/a folder", "empty": ""}


@pytest.mark.parametrize(
    "text", ["", "hostname = ", "[paths]\nrun = 1\n", 'hostname = "a"\n[receive]\nmessage_size = "x"\n']
)
def test_an_unusable_configuration(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(NoConfiguration):
        find_places()


def test_no_configuration(config: Path) -> None:
    config.unlink()
    with pytest.raises(NoConfiguration, match="No such file"):
        find_places()


def test_a_qmail_host_has_no_limit_of_smtp() -> None:
    values = from_toml({"hostname": "a", "qmail": {"home": "/q"}, "receive": {"message_size": 10}}, "/")
    assert values["message_size"] == str(1 << 32) and values["qmail_home"] == "/q"


def test_a_stamp_tells_files_apart(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("x")
    other.write_text("x")
    assert stamp_of(str(one)) == stamp_of(str(one)) != stamp_of(str(other))
    before = stamp_of(str(one))
    os.utime(one, ns=(1, 1))
    assert stamp_of(str(one)) != before
