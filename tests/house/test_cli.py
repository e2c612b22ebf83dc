"""What every script shares: values with dashes, outputs that are tried, text in every locale."""

import argparse
import errno
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fetch
import prompts
import ratings
import votes
from absent import absent
from diffusion4k import cli, streams
from diffusion4k.dag.flags import command_line
from diffusion4k.errors import UserError

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def test_named_paths_have_all_names_and_a_path():
    split = cli.named("--rows", ["a=b=c.json", "d=e:f.json"], "ROW=MANIFEST")
    assert split == [(("a",), "b=c.json"), (("d",), "e:f.json")]
    form = "ROW:FAMILY=MANIFEST"
    assert cli.named("--values", ["a:b=c"], form) == [(("a", "b"), "c")]
    for pair in ("a:b", "a:b=", "a=c", "a:=c", ":b=c", "a:b:d=c", ""):
        with pytest.raises(UserError, match=f"^--values {pair}: write {form}$"):
            cli.named("--values", [pair], form)


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser()
    flags.add_argument("--prompt")
    flags.add_argument("--negative-prompt", default="")
    flags.add_argument("--steps", type=int)
    flags.add_argument("--png", action=argparse.BooleanOptionalAction)
    flags.add_argument("--output", type=Path, nargs="*")
    one = flags.add_subparsers(dest="kind").add_parser("one")
    one.add_argument("--title")
    return flags


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--negative-prompt", "-blurry"], {"negative_prompt": "-blurry"}),
        (["--prompt", "--- a line", "--png"], {"prompt": "--- a line", "png": True}),
        (["--prompt", "-"], {"prompt": "-"}),
        (["--prompt", "--"], None),
        (["--prompt", "-h2o", "--steps", "-1"], {"prompt": "-h2o", "steps": -1}),
        (["one", "--title", "-x=y"], {"title": "-x=y"}),
        # what is an option is none's value, also when it is shortened
        (["--prompt", "--png"], None),
        (["--prompt", "--negative", "x"], None),
        (["--negative-prompt", "--no-png"], None),
        (["--steps", "--fast"], None),
    ],
)
def test_a_text_may_begin_with_a_dash(words, values, capsys):
    def parse():
        return vars(parser().parse_args(cli.joined(words, parser())))

    if values is None:
        with pytest.raises(SystemExit):
            parse()
    else:
        found = parse()
        assert {name: found[name] for name in values} == values


def test_what_a_rule_writes_with_dashes_its_script_reads():
    values = {"only": ["-a *", "b"], "ignore": ["c", "*.bin"], "sha256": "-x", "revision": -1e-05}
    words = shlex.split(command_line(hub="a/b", folder="f", output="o", **values))
    read = vars(fetch.parser().parse_args(cli.joined(words, fetch.parser())))
    assert [read[name] for name in values] == [["-a *", "b"], ["c", "*.bin"], "-x", "-1e-05"]


def test_every_text_of_a_list_arrives_when_one_has_a_dash():
    words = shlex.split(command_line(texts=["a fox", "-blurry", "--file"], output="o"))
    read = prompts.parser().parse_args(cli.joined(words, prompts.parser()))
    assert read.texts == ["a fox", "-blurry", "--file"]
    for script in (votes, ratings):
        given = command_line(answers=["-a.csv", "b.csv"], output="o")
        given += " --pairs a,b --dataset d --folder f" * (script is votes)
        words = cli.joined(shlex.split(given), script.parser())
        assert script.parser().parse_args(words).answers == [Path("-a.csv"), Path("b.csv")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("file/a.json", "Not a directory"), (".", "is a folder"), ("/proc/none/a.json", "")],
)
def test_an_output_that_cannot_be_written_is_found_before_the_work(
    tmp_path, monkeypatch, name, reason
):
    (tmp_path / "file").write_text("", encoding="utf-8")
    work = []
    words = ["script.py", "--output", str(tmp_path / "new" / "a"), str(tmp_path / name)]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match=rf"^error: --output .*: cannot be written \(.*{reason}"):
        cli.main(work.append, parser())
    assert work == [] and not (tmp_path / "new").exists()
    monkeypatch.setattr("sys.argv", words[:3])
    cli.main(work.append, parser())
    assert len(work) == 1


PROGRAM = """\
import argparse, sys
from diffusion4k import cli

def run(args):
    print('↑ − 山 é', flush=True)
    raise cli.UserError('no 🦊')

cli.main(run, argparse.ArgumentParser())
"""


@pytest.mark.parametrize("encoding", ["gbk", "latin-1", "ascii"])
def test_what_is_printed_dies_in_no_locale(tmp_path, encoding):
    """A log file is UTF-8; a pipe keeps its encoding, with escapes for what that lacks."""
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, str(tmp_path / "program.py")]
    with (tmp_path / "log").open("wb") as log:
        subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "↑ − 山 é\nerror: no 🦊\n"
    piped = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert piped.stdout == "↑ − 山 é\n".encode(encoding, "backslashreplace")
    assert piped.stderr == b"error: no \\U0001f98a\n"


def test_an_output_is_refused_by_one_line():
    with pytest.raises(UserError, match="--to /proc/none/x: cannot be written"):
        cli.writable(Path("/proc/none/x"), "--to")


def test_in_a_locale_of_other_names_a_process_starts_again_in_utf_8(monkeypatch):
    for name in ("PYTHONUTF8", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    began = []
    monkeypatch.setattr(os, "execv", lambda *words: began.append(words))
    streams.names_in_utf8()
    assert not began
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    monkeypatch.setattr("locale.getencoding", lambda: "ISO-8859-1")
    streams.names_in_utf8()
    streams.names_in_utf8()  # once, or where Python ignores its environment it would never end
    assert began == [(sys.executable, [sys.executable, *sys.orig_argv[1:]])]
    assert os.environ["PYTHONUTF8"] == "1"
    assert os.environ["PYTHONIOENCODING"] == "ISO-8859-1:backslashreplace"


@pytest.mark.parametrize(("name", "charmap"), [("en_US", "ISO-8859-1"), ("zh_CN", "GBK")])
def test_a_file_is_found_by_its_name_in_every_locale(tmp_path, name, charmap):
    if not shutil.which("localedef") or not Path("/usr/share/i18n/locales", name).is_file():
        absent("no sources of locales: apt-get install locales")
    subprocess.run(["localedef", "-i", name, "-f", charmap, tmp_path / name], check=True)
    (tmp_path / "城.jpg").write_bytes(b"x")
    program = (
        "import argparse, pathlib, sys; from diffusion4k import cli;"
        "flags = argparse.ArgumentParser(); flags.add_argument('file', type=pathlib.Path);"
        "cli.main(lambda args: print(args.file.exists(), ascii(args.file.name), '\\u57ce'), flags)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LC_"))}
    environment |= {"LOCPATH": str(tmp_path), "LC_ALL": name, "PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", program, tmp_path / "城.jpg"]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    shown = "城".encode(charmap, "backslashreplace")
    assert done.stdout == b"True '\\u57ce.jpg' " + shown + b"\n"


def test_a_pipe_that_is_read_as_utf_8_is_written_so_in_any_locale(monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    command = [sys.executable, "-c", "print('\\u00e9')"]
    done = subprocess.run(command, capture_output=True, env=streams.piped())
    assert done.stdout.decode("utf-8") == "\u00e9\n"


def test_what_a_file_system_refuses_is_one_line_and_what_a_program_does_wrong_is_not(monkeypatch):
    parser = argparse.ArgumentParser()
    monkeypatch.setattr("sys.argv", ["script.py"])
    with pytest.raises(SystemExit, match=r"error: .*x{300}: File name too long"):
        cli.main(lambda args: Path("x" * 300).write_text(""), parser)
    with pytest.raises(FileNotFoundError):
        cli.main(lambda args: Path("/no/such").read_text(), parser)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/data/a"),
        # as safetensors and Arrow say it
        RuntimeError('IoError(Os { code: 28, message: "No space left on device" })'),
        OSError("Error writing bytes to file. Detail: [errno 28] No space left on device"),
    ],
)
def test_a_full_disk_is_one_line_whoever_tells_of_it(monkeypatch, tmp_path, error):
    def run(args):
        raise error

    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path)
    monkeypatch.setattr("sys.argv", ["script.py", "--output", str(tmp_path / "out.json")])
    where = error.filename or tmp_path / "out.json" if isinstance(error, OSError) else "/.*out.json"
    with pytest.raises(SystemExit, match=rf"^error: {where}: .*; make room there and run again$"):
        cli.main(run, parser)
