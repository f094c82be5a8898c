"""Whether system users could run Paperpath from where it is."""

from pathlib import Path

from bench.privileges import is_open_to_all


def test_one_closed_folder_closes_the_way(tmp_path: Path) -> None:
    inner = tmp_path / "closed" / "open"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    (tmp_path / "closed").chmod(0o700)
    assert not is_open_to_all(inner)


def test_root_of_the_file_system_is_open() -> None:
    assert is_open_to_all(Path("/"))
