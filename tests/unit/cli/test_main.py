"""The command as a program: exit codes, one line an error, and how little it loads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paperpath.cli.main import _COMMANDS
from tests.unit.cli.conftest import Run

CALL = [sys.executable, "-c", "from paperpath.cli.main import main; main()"]


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in {"PAPERPATH_CONFIG", "NO_COLOR"}}
    return subprocess.run(
        [*CALL, *arguments],
        capture_output=True,
        text=True,
        env=clean | environment,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_exit_codes_of_the_program(tmp_path: Path) -> None:
    folder = str(tmp_path / "t")
    config = f"{folder}/paperpath.toml"
    cases = [
        (("init", folder, "--hostname", "a.test"), 0),
        (("init", folder), 100),
        (("check-config", "--config", config), 0),
        (("check-config", "--config", folder), 64),
        (("check-config", "--config", config + "x"), 100),
        (("queue", "stats", "--config", config), 111),
        (("queue", "show", "u", "--config", config), 64),
        (("nonsense",), 64),
        (("queue", "--nonsense"), 64),
        (("--help",), 0),
        (("--version",), 0),
    ]
    for arguments, code in cases:
        done = program(*arguments)
        assert done.returncode == code, (arguments, done)
        assert "Traceback" not in done.stderr


def test_the_environment_names_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('hostname = "env.test"\n')
    done = program("check-config", PAPERPATH_CONFIG=str(tmp_path / "p.toml"))
    assert "env.test" in done.stdout
    missing = program("check-config")
    assert missing.stderr.startswith("paperpath: /etc/paperpath/paperpath.toml")


def test_the_overview_loads_almost_nothing() -> None:
    """`paperpath --help` stays quick as long as nobody imports a library at the top of a module."""
    code = (
        "import sys\nfrom paperpath.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted(name for name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert {name for name in loaded if name.startswith("paperpath")} == {
        "paperpath", "paperpath.cli", "paperpath.cli.main", "paperpath.cli.faults",
    }  # fmt: skip
    assert not loaded & {"rich", "msgspec", "apsw", "argon2", "dns", "idna", "asyncio", "cryptography", "uvloop"}


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_a_help_with_an_example(run: Run, name: str) -> None:
    done = run(name, "--help")
    assert done.exit_code == 0
    if name not in {"account", "ban", "queue"}:
        assert f"paperpath {name} " in done.output
        return
    words = [line.split()[0] for line in done.output.partition("Commands:")[2].splitlines() if line.strip()]
    assert len(words) >= 4
    for word in words:
        assert f"  paperpath {name} {word}" in run(name, word, "--help").output.replace(
            "| paperpath", "  paperpath"
        ) or (word in {"list", "app-password", "quota"} and name == "account")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.exit_code == 0
    assert "_PAPERPATH_COMPLETE" in done.output


def test_completion_works() -> None:
    done = program(_PAPERPATH_COMPLETE="bash_complete", COMP_WORDS="paperpath queue re", COMP_CWORD="2")
    assert {line.partition(",")[2] for line in done.stdout.split()} == {"release", "remove", "retry"}


def test_a_defect_is_one_line_and_temporary(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a\nb")

    monkeypatch.setattr("paperpath.cli.check_config.config_path", broken)
    done = run("check-config")
    assert done.exit_code == 111
    (line,) = done.output.splitlines()
    assert line.startswith("paperpath: RuntimeError: a b (")


def test_an_error_of_the_system_names_the_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise OSError(28, "No space left on device", "/state/x")

    monkeypatch.setattr("paperpath.cli.check_config.config_path", full)
    done = run("check-config")
    assert (done.exit_code, done.output) == (111, "paperpath: /state/x: No space left on device\n")


def test_check_config_lists_problems(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('hostname = "a.test"\nfoo = 1\n[queue]\nlifetim = 3\n')
    people = run("check-config", "--config", str(file))
    assert people.exit_code == 100
    assert [line.split(":")[2] for line in people.output.splitlines()] == ["2", "4"]
    shown = run("check-config", "--config", str(file), "--json")
    assert shown.exit_code == 100
    found = json.loads(shown.output)
    assert (found["ok"], [one["key"] for one in found["problems"]]) == (False, ["foo", "queue.lifetim"])
    file.write_text('hostname = "a.test"\n')
    assert json.loads(run("check-config", "--config", str(file), "--json").output)["ok"] is True


def test_serve_hands_over_to_the_supervisor(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def serve(path: str) -> int:
        given.append(path)
        return 111

    monkeypatch.setattr("paperpath.supervise.main.serve", serve)
    assert run("serve", "--config", "/x/p.toml").exit_code == 111
    assert given == ["/x/p.toml"]


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*CALL, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
