"""The reader: what it takes, how it normalises, and how it says what is wrong."""

import os
from pathlib import Path

import pytest

from paperpath.config.endpoints import is_route
from paperpath.config.load import load, parse, routing_table
from paperpath.config.problems import ConfigError, Problem

GOOD = """\
hostname = "MX.Example.ORG."
postmaster = "You@Example.net"
[[listen]]
service = "smtp"
address = "0.0.0.0:25"
[[listen]]
service = "smtp"
address = "[::0001]:2525"
[[listen]]
service = "smtp"
address = "unix:run/smtp"
[paths]
state = "state"
run = "/run/x"
[local]
domains = ["Bücher.example"]
default_domain = "Default.example"
percent_hack = ["P.example"]
[mailboxes]
domains = ["EXAMPLE.net"]
[virtual]
".Lists.example" = "lists"
"Joe@v.example" = "joe"
"" = ""
[relay]
networks = ["192.0.2.0/24", "::1"]
domains = [".Partner.example"]
[routes]
"Sink.test" = "smtp://127.0.0.1:2626"
"six.test" = "SMTP://[2001:DB8::1]"
"" = "smtp://Smart.example/"
[receive]
message_size = "3MiB"
command_timeout = 600
literal_domain = "IP.example"
refused_senders = ["Spam@Bad.example", "@All.example"]
[remote]
helo = "Helo.example"
[bounce]
host = "Bounce.example"
[queue]
lifetime = "5d"
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "/etc/x/paperpath.toml")
    return caught.value.problems


def test_values_come_in_their_compared_form() -> None:
    config = parse(GOOD, "/etc/x/paperpath.toml")
    assert config.hostname == "mx.example.org"
    assert config.postmaster == "You@example.net"
    assert [one.address for one in config.listen] == ["0.0.0.0:25", "[::1]:2525", "unix:/etc/x/run/smtp"]
    assert (config.paths.state, config.paths.run) == ("/etc/x/state", "/run/x")
    assert config.local.domains == ("xn--bcher-kva.example",)
    assert config.virtual == {".lists.example": "lists", "joe@v.example": "joe", "": ""}
    assert config.relay.networks == ("192.0.2.0/24", "::1/128")
    assert config.routes == {
        "sink.test": "smtp://127.0.0.1:2626",
        "six.test": "smtp://[2001:db8::1]:25",
        "": "smtp://smart.example:25",
    }
    assert (config.receive.message_size, config.receive.command_timeout) == (3 << 20, 600)
    assert config.queue.lifetime == 5 * 86400
    assert (config.local.default_domain, config.local.percent_hack) == ("default.example", ("p.example",))
    assert config.receive.refused_senders == ("spam@bad.example", "@all.example")
    assert (config.receive.literal_domain, config.remote.helo, config.bounce.host) == (
        "ip.example",
        "helo.example",
        "bounce.example",
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("smtp://relay.ex", "smtp://relay.ex:25"),
        ("LMTP://relay.ex", "lmtp://relay.ex:24"),
        ("lmtp://[::1]:2400", "lmtp://[::1]:2400"),
        ("lmtp:unix:/run/dovecot/lmtp", "lmtp:unix:/run/dovecot/lmtp"),
        ("qmtp://relay.ex", "qmtp://relay.ex:209"),
        ("qmtp:unix:/run/x", None),
        ("smtp:unix:/run/x", None),
        ("lmtp:unix:", None),
        ("lmtp:unix:/" + "x" * 107, None),
        ("lmtp://relay.ex:0", None),
        ("http://relay.ex", None),
    ],
)
def test_next_hops(written: str, read: str | None) -> None:
    text = f'hostname = "a.test"\n[routes]\n"x.test" = "{written}"'
    if read is None:
        assert [problem.key for problem in problems(text)] == ["routes.x.test"]
    else:
        route = parse(text, "/etc/x/paperpath.toml").routes["x.test"]
        assert route == read
        assert is_route(route)


def test_routing_table_holds_lower_case_bytes() -> None:
    table = routing_table(parse(GOOD, "/etc/x/paperpath.toml"))
    assert table.hostname == b"mx.example.org"
    assert table.local == {b"xn--bcher-kva.example"}
    assert table.mailboxes == {b"example.net"}
    assert table.virtual == {b".lists.example": b"lists", b"joe@v.example": b"joe", b"": b""}
    assert table.relay == {b".partner.example"}
    assert table.routes[b"sink.test"] == "smtp://127.0.0.1:2626"
    assert table.postmaster == b"You@example.net"
    assert (table.default_domain, table.percent_hack) == (b"default.example", frozenset({b"p.example"}))
    assert (table.literal_domain, b"[127.0.0.1]" in table.literals, table.only_listed) == (b"ip.example", True, False)


def test_a_file_is_read_and_its_folder_counts(tmp_path: Path) -> None:
    file = tmp_path / "paperpath.toml"
    file.write_text('hostname = "a.test"\n[paths]\nstate = "../state"\nrun = "run"\n')
    config = load(os.path.relpath(file))
    assert config.paths.state == str(tmp_path.parent / "state")
    assert config.paths.run == str(tmp_path / "run")


def test_the_folder_of_a_link_counts_and_not_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.toml").write_text('hostname = "a.test"\n[paths]\nstate = "state"\nrun = "run"\n')
    link = tmp_path / "paperpath.toml"
    link.symlink_to("real/x.toml")
    config = load(str(link))
    assert (config.paths.state, config.paths.run) == (f"{tmp_path}/state", f"{tmp_path}/run")


def test_everything_that_is_wrong_is_named_at_once_with_its_line() -> None:
    found = problems(
        'hostnme = "x"\n[[listen]]\nservice = "smtp"\naddress = "1.2.3.4:1"\n[[listen]]\nservice = "stmp"\n'
        '[queue]\nlifetime = "7x"\n[receive]\nprocesses = 99\nmessage_size = "1KiB"\nsessions = true\n'
    )
    assert {(one.key, one.line) for one in found} == {
        ("hostname", 0),
        ("hostnme", 1),
        ("listen[1].service", 6),
        ("listen[1].address", 5),
        ("queue.lifetime", 8),
        ("receive.processes", 10),
        ("receive.message_size", 11),
        ("receive.sessions", 12),
    }
    by_key = {one.key: one.instead for one in found}
    assert by_key["hostnme"] == "did you mean 'hostname'?"
    assert by_key["receive.processes"] == "write a whole number from 0 to 64"
    assert by_key["receive.message_size"].endswith("of at least 64KiB")
    assert by_key["listen[1].service"].startswith('write "smtp" or "submission" or ')


def test_an_unknown_key_like_no_other_lists_what_there_is() -> None:
    (problem,) = problems('hostname = "a.test"\n[log]\nzzz = 1\n')
    assert (problem.key, problem.instead) == ("log.zzz", "known here: format")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('hostname = "a b"', "hostname"),
        ('hostname = "192.0.2.1"', "hostname"),
        ('hostname = "a..b"', "hostname"),
        ('hostname = "' + "a." * 130 + 'b"', "hostname"),
        ('hostname = "a.test"\npostmaster = "nobody"', "postmaster"),
        ('hostname = "a.test"\n[[listen]]\nservice = "smtp"\naddress = "127.0.0.1"', "listen[0].address"),
        ('hostname = "a.test"\n[[listen]]\nservice = "smtp"\naddress = "127.0.0.1:65536"', "listen[0].address"),
        ('hostname = "a.test"\n[[listen]]\nservice = "smtp"\naddress = "::1:25"', "listen[0].address"),
        ('hostname = "a.test"\n[paths]\nrun = "/' + "r" * 93 + '"', "paths.run"),
        ('hostname = "a.test"\n[local]\ndomains = ["ok.test", "-x"]', "local.domains[1]"),
        (
            'hostname = "a.test"\n[local]\ndomains = ["X.test"]\n[mailboxes]\ndomains = ["x.test"]',
            "mailboxes.domains[0]",
        ),
        ('hostname = "a.test"\n[virtual]\n"x.test" = "a b"', "virtual.x.test"),
        ('hostname = "a.test"\n[virtual]\n"x.test" = "a"\n"X.test" = "b"', "virtual.X.test"),
        ('hostname = "a.test"\n[relay]\nnetworks = ["192.0.2.1/24"]', "relay.networks[0]"),
        ('hostname = "a.test"\n[routes]\n"x.test" = "192.0.2.1"', "routes.x.test"),
        ('hostname = "a.test"\n[routes]\n"x.test" = "smtp://a:0"', "routes.x.test"),
        ('hostname = "a.test"\n[remote]\nresolver = "1.2.3"', "remote.resolver"),
        ('hostname = "a.test"\n[bounce]\ndouble_to = "@a.test"', "bounce.double_to"),
        ('hostname = "a.test"\n[bounce]\naddress = "a@b"', "bounce.address"),
    ],
)
def test_settings_that_mean_nothing_are_refused(text: str, key: str) -> None:
    assert [one.key for one in problems(text)] == [key]


def test_the_same_address_twice_is_refused_but_the_kernel_may_choose_twice() -> None:
    listen = '[[listen]]\nservice = "smtp"\naddress = "127.0.0.1:{}"\n'
    (problem,) = problems('hostname = "a.test"\n' + listen.format(25) * 2)
    assert (problem.key, problem.line) == ("listen[1].address", 7)
    assert len(parse('hostname = "a.test"\n' + listen.format(0) * 2, "x").listen) == 2


def test_broken_toml_names_its_line() -> None:
    (problem,) = problems('hostname = "a.test"\n\n[queue\n')
    assert problem.line == 3
    (problem,) = problems('hostname = "a.test"\nx = """')
    assert problem.line == 2


@pytest.mark.parametrize(
    "text",
    [
        'hostname = "a.test"\nqueue = 3',
        'hostname = "a.test"\nlisten = [3]',
        'hostname = "a.test"\nlisten = "x"',
        "hostname = 3",
    ],
)
def test_a_section_of_the_wrong_kind_is_a_problem_and_no_crash(text: str) -> None:
    assert problems(text)


def test_a_file_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"paperpath\.toml: cannot be read: No such file"):
        load(str(tmp_path / "paperpath.toml"))
    file = tmp_path / "latin1.toml"
    file.write_bytes(b'hostname = "a.test"\n# \xe4\n')
    with pytest.raises(ConfigError, match=r"latin1\.toml:2: is not UTF-8"):
        load(str(file))


def test_the_error_reads_as_one_line_a_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        parse('hostname = "a.test"\nfoo = 1\nbar = 2\n', "p.toml")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("p.toml:2: foo: there is no such setting; ")
    assert lines[1].startswith("p.toml:3: bar: there is no such setting; ")


TLS = """
[tls]
certificate = "tls/mx.pem"
key = "/keys/mx.key"
relay_fingerprints = ["AB:CD:%s"]
[[tls.certificates]]
names = ["Other.Test", ".below.test"]
certificate = "tls/other.pem"
key = "tls/other.key"
""" % ("ef" * 30)


PROXIED = '[[listen]]\nservice = "smtp"\naddress = "127.0.0.1:25"\nproxy = "always"\n'


def test_tls() -> None:
    tls = parse('hostname = "mx.test"\n' + TLS, "/etc/x/paperpath.toml").tls
    assert (tls.certificate, tls.key, tls.minimum) == ("/etc/x/tls/mx.pem", "/keys/mx.key", "1.2")
    assert tls.relay_fingerprints == ("abcd" + "ef" * 30,)
    (one,) = tls.certificates
    assert (one.names, one.certificate) == (("other.test", ".below.test"), "/etc/x/tls/other.pem")


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        ('[tls]\ncertificate = "a"', "tls", "a certificate and its key come together"),
        ('[tls]\nkey = "a"', "tls", "a certificate and its key come together"),
        (TLS.replace("certificate =", "# =", 1).replace("key =", "# =", 1), "tls", "there is no certificate for other"),
        ('[tls]\nrelay_fingerprints = ["ab"]', "tls.relay_fingerprints[0]", "'ab' is not a SHA-256 in hexadecimal"),
        ('[[listen]]\nservice = "pop3s"\naddress = "127.0.0.1:995"', "listen[0].service", "pop3s needs a certificate"),
        (PROXIED, "listen[0].proxy", "nobody may send a PROXY header"),
        (PROXIED.replace("127.0.0.1:25", "unix:/x"), "listen[0].proxy", "is for TCP ports"),
        (PROXIED.replace("smtp", "pop3"), "listen[0].proxy", "nobody may send a PROXY header"),
        ('[fronts]\nxclient = ["192.0.2.1/24"]', "fronts.xclient[0]", "192.0.2.1/24 has host bits set"),
    ],
)
def test_tls_that_cannot_be(text: str, key: str, wrong: str) -> None:
    (found,) = problems(f'hostname = "mx.test"\n{text}\n')
    assert found.key == key
    assert found.wrong.startswith(wrong)


def test_qmail_start_says_the_default_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "paperpath.toml"
    file.write_text(GOOD)
    assert load(str(file)).local.default_delivery == "./Maildir/"
    monkeypatch.setenv("PAPERPATH_DEFAULT_DELIVERY", "./Mailbox\n")
    assert load(str(file)).local.default_delivery == "./Mailbox\n"


@pytest.mark.parametrize(
    ("auth", "wrong"),
    [
        ('backends = ["dovecot"]', "auth.dovecot"),
        ('dovecot_mechanisms = ["SCRAM-SHA-256"]', "auth.dovecot_mechanisms"),
        ('backends = ["checkpassword"]', "auth.checkpassword"),
        ('checkpassword = ["checkpassword"]', "auth.checkpassword"),
        ('pam_service = "../x"', "auth.pam_service"),
    ],
)
def test_logins_that_could_not_be_judged(auth: str, wrong: str) -> None:
    assert wrong in str(problems(f"{GOOD}[auth]\n{auth}\n"))
