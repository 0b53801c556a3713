"""The command `keys`."""

import re

import pytest

from ml_api.cli import main
from ml_api.logs import SECRET


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ML_API_DATA_DIR", str(tmp_path))


def said(capsys, *arguments, code=0):
    assert main(["keys", *arguments]) == code
    return capsys.readouterr()


def test_the_key_alone_goes_to_the_output(capsys, tmp_path):
    told = said(capsys, "create", "laptop", "--scope", "write, search")
    assert SECRET.fullmatch(told.out.removesuffix("\n"))
    assert re.search(
        r"the key [0-9a-f]{8} \(laptop\) may search and write, at services with the database \S+; it is shown only", told.err
    )
    assert f"database {tmp_path}/ml_api.sqlite3;" in told.err


def test_the_list_has_ids_scopes_expiry_and_state_but_no_key(capsys):
    said(capsys, "create", "laptop", "--scope", "search,write", "--expires", "90d")
    said(capsys, "create", "a camera", "--scope", "write")
    [head, first, second] = said(capsys, "list").out.splitlines()
    assert head.split() == ["ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "LAST", "USED", "STATE"]
    assert re.fullmatch(r"[0-9a-f]{8}  laptop    search,write  20.* UTC  20.* UTC  never      valid", first)
    assert re.fullmatch(r"[0-9a-f]{8}  a camera  write         20.* UTC  never +never      valid", second)
    assert "was revoked on 20" in said(capsys, "revoke", first.split()[0]).out + said(capsys, "list").out


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        (["create"], ["keys create: name what the key is for", "--scope: say what the key may do"]),
        (["create", "x", "--scope", "all"], ["--scope: 'all' is not one of search, write, admin"]),
        (["create", "x", "--scope", ""], ["--scope: say what the key may do, search, write, admin or several"]),
        (["create", "x", "--scope", "search", "--expires", "soon"], ["--expires: 'soon' is no time such as 12h, 90d or 52w"]),
        (["create", "x", "--scope", "search", "--expires", "0d"], ["--expires: '0d' is no time"]),
        (["list", "x", "--expires", "1d"], ["'x' is one argument too many", "keys list takes no --expires"]),
        (["revoke"], ["keys revoke: name the id of a key"]),
    ],
)
def test_every_problem_of_the_command_line_is_told(capsys, arguments, problems):
    told = said(capsys, *arguments, code=2)
    assert told.out == ""
    for problem in problems:
        assert f"error: {problem}" in told.err


def test_a_message_does_nothing_to_the_terminal(capsys):
    said(capsys, "create", "x", "--scope", "search")
    assert main(["evaluate", "judgements", "--queries", "\x1b[31mx"]) == 1
    assert capsys.readouterr().err == "error: \\x1b[31mx: no such file or directory\n"


def test_what_cannot_be_revoked_or_named_so_fails(capsys):
    said(capsys, "create", "x", "--scope", "search")
    assert "there is no key 'x'" in said(capsys, "revoke", "x", code=1).err
    assert "the name of a key has 1 to 100 characters" in said(capsys, "create", "x" * 101, "--scope", "search", code=1).err
