"""The file that `init` writes is one that the reader takes, whatever it is asked to hold."""

from paperpath.config.load import parse
from paperpath.config.schema import Config
from paperpath.config.write import config_text


def written(**changes: object) -> Config:
    values: dict[str, object] = {
        "hostname": "a.test",
        "privileges": "caller",
        "postmaster": "",
        "listeners": (("smtp", "127.0.0.1:2525"),),
        "domains": ("x.test", "y.test"),
        "state": "state",
        "run": "run",
        "logins_in_clear": False,
    }
    return parse(config_text(**(values | changes)), "/d/paperpath.toml")  # type: ignore[arg-type]


def test_the_file_holds_what_was_asked_for() -> None:
    config = written(postmaster="you@x.test")
    assert (config.hostname, config.postmaster, config.privileges) == ("a.test", "you@x.test", "caller")
    assert [(one.service, one.address) for one in config.listen] == [("smtp", "127.0.0.1:2525")]
    assert config.mailboxes.domains == ("x.test", "y.test")
    assert (config.paths.state, config.paths.run) == ("/d/state", "/d/run")


def test_what_is_written_out_is_the_default() -> None:
    config, default = written(), Config(hostname="a.test")
    assert (config.relay, config.local, config.virtual, config.routes) == (
        default.relay,
        default.local,
        default.virtual,
        default.routes,
    )


def test_strange_paths_are_quoted() -> None:
    assert written(state='/s"\\\x7fü\n').paths.state == '/s"\\\x7fü\n'
