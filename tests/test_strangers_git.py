"""A stranger's repository of git: its settings start no program, its history fills no memory."""

import os
import pickle
import subprocess

import pytest

X, OLD, NEW = "data/x.csv", b"a,b\n1,2\n", b"a,b\n3,4\n"
# What git would run, where it is asked for no more than a look.
PROGRAMS = [
    *("core.fsmonitor", "core.pager", "pager.log", "pager.diff", "pager.config", "core.editor"),
    *("core.sshCommand", "core.askPass", "core.gitProxy", "core.alternateRefsCommand"),
    *("diff.external", "diff.evil.command", "diff.evil.textconv", "interactive.diffFilter"),
    *("gpg.program", "gpg.ssh.program", "gpg.x509.program", "credential.helper"),
    *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "merge.evil.driver"),
    *("remote.evil.uploadpack", "uploadpack.packObjectsHook", "sequence.editor"),
]
SIGNED = """tree {tree}
parent {parent}
author A <a@example.org> 1700000000 +0000
committer A <a@example.org> 1700000000 +0000
gpgsig -----BEGIN PGP SIGNATURE-----
{space}
 abc
 -----END PGP SIGNATURE-----

signed
"""


@pytest.fixture
def clone(project):
    """A repository with two versions of a file, the newer one in a signed commit."""
    project.git("init", "-q")
    project.record((X, OLD))
    project.git("add", "-A")
    project.git("commit", "-qm", "one")
    project.record((X, NEW))
    project.git("add", "-A")
    text = SIGNED.format(
        tree=project.git("write-tree").strip(),
        parent=project.git("rev-parse", "HEAD").strip(),
        space="",
    ).replace("\n\n abc", "\n \n abc")
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=project.root,
        env=project.env,
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    project.git("reset", "-q", "--soft", done.stdout.strip())
    return project


@pytest.fixture
def programs(clone, tmp_path):
    """Each setting and each hook names a program that leaves a trace; gives the trace."""
    trace = tmp_path / "trace"
    program = clone.write(tmp_path / "evil.sh", f'#!/bin/sh\necho "$0 $*" >> {trace}\nexit 1\n')
    program.chmod(0o755)
    for name in ("post-index-change", "reference-transaction", "pre-commit", "post-checkout"):
        (tmp_path / "hooks").mkdir(exist_ok=True)
        (tmp_path / "hooks" / name).symlink_to(program)
    for key in PROGRAMS:
        clone.git("config", key, str(program))
    for key, value in {
        "core.hooksPath": str(tmp_path / "hooks"),
        "log.showSignature": "true",
        "diff.submodule": "log",
        "alias.log": f"!{program}",
        "alias.rev-parse": f"!{program}",
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "evil",
        "remote.evil.promisor": "true",
        "remote.evil.url": "ssh://evil.invalid/x",
    }.items():
        clone.git("-c", "core.fsmonitor=false", "config", key, value)
    clone.write(".gitattributes", "* filter=evil diff=evil merge=evil\n")
    trace.unlink(missing_ok=True)
    return trace


COMMANDS = [
    *(["status"], ["log", X], ["diff"], ["diff", "HEAD~1"], ["diff", "HEAD~1", "HEAD"]),
    *(["gc"], ["pull", "--rev", "HEAD~1", "."], ["restore", X, "--from", "HEAD~1"]),
    *(["report", "-o", "r.html"], ["track", "new.csv"], ["git", "hook", "post-checkout", "0", "0"]),
]


def run_all(desk, commands, before=""):
    """All of them in one process; what they said."""
    code = f"from lazydata.cli import running\n{before}\n"
    code += "".join(f"print(running.run({command!r}), flush=True)\n" for command in commands)
    done = desk.run_code(code)
    return done.stdout + done.stderr


def test_no_setting_of_a_repository_starts_a_program(clone, programs):
    clone.write("new.csv", b"new")
    run_all(clone, COMMANDS)
    assert not programs.exists(), programs.read_text()


def test_no_pickle_in_a_data_file_is_loaded(desk, tmp_path):
    """An array of objects is one, and so is what some programs write under other names."""

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    numpy = pytest.importorskip("numpy")
    numpy.save(desk.root / "x.npy", numpy.array([Evil()], dtype=object), allow_pickle=True)
    numpy.savez(desk.root / "x.npz", x=numpy.array([Evil()], dtype=object))
    for name in ("y.npy", "y.npz", "y.parquet", "y.csv", "y.db"):
        desk.write(name, pickle.dumps(Evil()))
    names = sorted(os.listdir(desk.root))
    desk.write("lazydata.yml", "version: 2\nfiles:\n")
    said = run_all(desk, [["track", *names], *(["info", name] for name in names), ["report"]])
    assert "object" in said
    assert not (tmp_path / "ran").exists()


def test_no_filter_runs_where_a_manifest_has_moved(clone, request):
    """To compare a commit with a work tree, git puts each file through its filter."""
    (clone.root / "sub").mkdir()
    for name in ("lazydata.yml", ".lazydata", "data"):
        (clone.root / name).rename(clone.root / "sub" / name)
    clone.git("add", "lazydata.yml", "sub")
    programs = request.getfixturevalue("programs")
    clone.write("sub/lazydata.yml", clone.read("sub/lazydata.yml") + b"# more\n")
    said = run_all(clone, [["log", f"sub/{X}"], ["diff"], ["status"], ["gc"]])
    assert not programs.exists(), programs.read_text()
    assert "Traceback" not in said


def test_what_a_partial_clone_lacks_is_not_fetched_but_told(clone, programs):
    """Who fetches runs what the repository says, and goes where it says."""
    lacking = clone.git("-c", "core.fsmonitor=false", "rev-parse", "HEAD~1:lazydata.yml").strip()
    (clone.root / ".git/objects" / lacking[:2] / lacking[2:]).unlink()
    said = run_all(clone, [["log", X], ["gc"], ["pull", "--rev", "HEAD~1", "."]])
    assert not programs.exists(), programs.read_text()
    assert "lacks lazydata.yml" in said
    assert "git log -p -- lazydata.yml" in said


def test_a_manifest_in_the_history_that_would_fill_the_memory(clone):
    """Git keeps gigabytes of one letter in next to nothing."""
    kept = clone.read("lazydata.yml")
    clone.write("lazydata.yml", kept + b"#" * 2_000_000)
    clone.git("commit", "-qam", "bomb")
    clone.write("lazydata.yml", kept)
    limit = "import lazydata.git\nlazydata.git._LARGEST = 1 << 20"
    said = run_all(clone, [["log", X], ["gc"], ["diff", "HEAD"], ["status"]], limit)
    assert said.count("lazydata.yml of 2,000,") == 3
    assert clone.run_cli("log", X).stdout.count("stored") == 2


def test_a_history_of_many_large_manifests_is_read_in_turns(clone):
    """Here they are 160 MiB in all; in earnest they could be many times that."""
    kept = clone.read("lazydata.yml")
    for number in range(40):
        clone.write("lazydata.yml", kept + b"#" * (4 << 20) + b"%d\n" % number)
        clone.git("-c", "core.looseCompression=1", "commit", "-qam", f"bomb {number}")
    measured = """
import atexit
import re
import lazydata.git
from lazydata.cli import app, history
lazydata.git._LARGEST = 16 << 20

def most():
    with open("/proc/self/status") as file:
        return int(re.search(r"VmHWM:\\s*(\\d+) kB", file.read())[1])

before = most()
atexit.register(lambda: print("grew by", most() - before))
"""
    said = run_all(clone, [["log", X], ["gc"]], measured)
    answer, grew = said.split("grew by")
    assert "MemoryError" not in said
    assert answer.count("stored") == 2
    assert answer.endswith("0\n")
    assert int(grew.split()[0]) < 96 << 10


@pytest.mark.parametrize("target", ["/proc/self/pagemap", "/dev/zero"])
def test_a_manifest_without_end(desk, target):
    desk.manifest_file.symlink_to(target)
    desk.write(X, OLD)
    code = """
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
        from lazydata.cli import running
        raise SystemExit(running.run(["status"]))
    """
    done = desk.run_code(code, code=None)
    assert done.returncode in (10, 11), done.stderr
