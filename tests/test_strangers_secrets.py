"""Secrets: none goes to a host that a repository named, and none is repeated by what is printed."""

import hashlib
import http.server
import os
import threading

import pytest

X, OLD = "data/x.csv", b"a,b\n1,2\n"
SECRET = "s3cr3t-pass"


@pytest.fixture
def served():
    """A server that answers with what a test wants; gives its requests, and its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append((self.path, dict(self.headers)))
            self.wfile.write(server.answer(self.path))
            self.close_connection = True

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def whole(content):
    return b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)


def moved(url):
    return f"HTTP/1.0 302 Found\r\nLocation: {url}\r\n\r\n".encode()


def lists_source(desk, url):
    """As lazydata 1.x wrote it."""
    name = hashlib.sha256(OLD).hexdigest()
    desk.write(
        "lazydata.yml",
        f"version: 1\nfiles:\n- path: {X}\n  hash: {name}\n  size: {len(OLD)}\n"
        f"  source_url: {url}\n",
    )


def test_the_password_of_a_proxy_is_not_sent_to_where_a_source_url_leads(desk, served):
    """urllib adds it to the request, and takes it along to where that is redirected."""
    there = f"http://localhost:{served.server_port}/x"
    served.answer = lambda path: whole(OLD) if path == "/x" else moved(there)
    lists_source(desk, "http://evil.invalid/x")
    proxy = f"http://me:{SECRET}@127.0.0.1:{served.server_port}"
    env = {"http_proxy": proxy, "no_proxy": "localhost", "NO_PROXY": "localhost"}
    desk.run_cli("pull", ".", env=env)
    assert desk.read(X) == OLD
    (_, to_proxy), (path, to_host) = served.asked
    assert path == "/x"
    assert "Proxy-Authorization" in {name.title() for name in to_proxy}
    assert "Proxy-Authorization" not in {name.title() for name in to_host}


@pytest.mark.parametrize("scheme", ["ftp", "file"])
def test_a_source_url_is_followed_to_the_web_only(desk, served, tmp_path, scheme):
    (tmp_path / "x").write_bytes(OLD)
    where = f"127.0.0.1:{served.server_port}" if scheme == "ftp" else ""
    served.answer = lambda path: moved(f"{scheme}://{where}{tmp_path}/x")
    lists_source(desk, f"http://127.0.0.1:{served.server_port}/x")
    done = desk.run_cli("pull", ".", code=3, env={"no_proxy": "127.0.0.1"})
    assert "source_url" in done.stderr
    assert len(served.asked) == 1
    assert not (desk.root / X).exists()


SAID = {
    "no HTTP": b"\x1b[2J" + SECRET.encode() + b"\r\n\r\n",
    "a failure": f"HTTP/1.0 404 {SECRET}\x1b[2J\r\n\r\n".encode(),
    "headers without end": b"HTTP/1.0 200 OK\r\n" + b"a: b\r\n" * 5000,
    "half of a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nab",
    "a chunk of no length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab",
    "nothing": b"",
}


@pytest.mark.parametrize("said", SAID)
def test_what_the_server_of_a_source_url_says_is_one_line_and_not_repeated(desk, served, said):
    served.answer = lambda path: SAID[said]
    lists_source(desk, f"http://127.0.0.1:{served.server_port}/x")
    done = desk.run_cli("pull", ".", code=3, env={"no_proxy": "127.0.0.1"})
    assert f"{X} could not be had from its source_url" in done.stderr
    assert SECRET not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{SECRET}@127.0.0.1:{{port}}/x",
        f"http://{SECRET}@127.0.0.1:{{port}}/x",
        f"http://me:{SECRET}@127.0.0.1/x",
        f"http://127.0.0.1:{SECRET}/x",
        f"http://[{SECRET}/x",
        f"http://127.0.0.1:{{port}}/ {SECRET}",
    ],
)
def test_a_source_url_with_a_secret_is_not_asked_and_not_repeated(desk, served, url):
    served.answer = lambda path: whole(OLD)
    lists_source(desk, f'"{url.format(port=served.server_port)}"')
    done = desk.run_cli("pull", ".", code=3, env={"no_proxy": "127.0.0.1"})
    assert "could not be had from its source_url" in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert served.asked == []


# -- a manifest in which somebody wrote a secret

URLS = [
    f"s3://KEY:{SECRET}@bucket/p",
    f"s3://{SECRET}@bucket/p",
    f"s3://bucket/p?token={SECRET}",
    f"s3://KEY:sl/ash{SECRET}@bucket/p",
    f"ssh://me:{SECRET}@127.0.0.1/x",
    f"ssh://me:sl/ash{SECRET}@127.0.0.1/x",
    f"ssh://me%3a{SECRET}@127.0.0.1/x",
    f"ssh://127.0.0.1:{SECRET}/x",
    f"ssh://me@127.0.0.1/x#{SECRET}",
    f"https://me:{SECRET}@host/x",
    f"file://{SECRET}@host/x",
    f"me:{SECRET}@host:/x",
]
ASKING = [
    *(["remotes"], ["remotes", "--json"], ["push"], ["pull", X], ["pull", X, "--json"]),
    *(["status"], ["doctor"], ["doctor", "--json"], ["info", X, "--check"], ["log", X, "--json"]),
    *(["verify", "--remote", "origin"], ["gc", "--remote", "origin"], ["push", "--dry-run"]),
    *(["add-remote", "/tmp", "--name", "origin", "--no-check"], ["ls", "--json"], ["report"]),
]


@pytest.mark.parametrize("url", URLS)
def test_a_secret_that_somebody_wrote_into_a_manifest_is_not_repeated(desk, url):
    desk.write(
        "lazydata.yml",
        f"version: 2\nremotes:\n  origin:\n    url: '{url}'\n    secret: {SECRET}\n"
        f"    endpoint: http://me:{SECRET}@127.0.0.1:9\n"
        f"files:\n  - path: {X}\n    hash: {'0' * 64}\n",
    )
    code = "from lazydata.cli import running\n"
    code += "".join(f"print(running.run({command!r}), flush=True)\n" for command in ASKING)
    done = desk.run_code(code)
    assert done.stdout.count("origin") > 2
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "url",
    [
        *("s3://bucket/a@b/c", "s3://bucket", "file:///srv/a@b:c", "file:///srv/a%3Fb"),
        *("ssh://me@[::1]:22/x", "ssh://h/x", "ssh://me@corp@host/srv", "ssh://[fe80::1%25e0]/x"),
    ],
)
def test_a_url_without_a_secret_is_shown(desk, url):
    desk.write("lazydata.yml", f"version: 2\nremotes:\n  origin:\n    url: '{url}'\n")
    assert desk.run_cli("remotes").stdout == f"origin  {url}\n"
    assert desk.json_cli("remotes")["remotes"] == [{"name": "origin", "url": url}]


def test_no_argument_of_a_program_is_a_secret(desk, tmp_path):
    """Any user of the machine sees the list of processes, with their arguments."""
    desk.git("init", "-q")
    desk.write("x.npy", b"no array")
    desk.write("d/y.csv", OLD)
    desk.write("lazydata.yml", "version: 2\nfiles:\n")
    commands = [
        *(["track", "x.npy", "d"], ["info", "x.npy"], ["status"], ["git", "install"], ["gc"]),
        *(["add-remote", f"s3://KEY:{SECRET}@bucket"], ["add-remote", str(tmp_path / "remote")]),
        *(["push"], ["log", "x.npy"], ["diff"], ["doctor"], ["report"]),
    ]
    code = f"""
        import sys
        def noted(event, about):
            if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system"):
                print("started", ascii(about[:2]), flush=True)
        sys.addaudithook(noted)
        from lazydata.cli import running
        for command in {commands!r}:
            running.run(command)
    """
    secrets = dict.fromkeys(("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), SECRET)
    done = desk.run_code(code, env=secrets | {"http_proxy": f"http://me:{SECRET}@127.0.0.1:9"})
    started = [line for line in done.stdout.splitlines() if line.startswith("started")]
    assert any("git" in line for line in started)
    assert any("inspectors" in line for line in started)
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("link", ["auto", "hardlink", "copy"])
def test_a_file_that_only_its_owner_may_read_is_read_by_nobody_in_the_store(project, link):
    umask = os.umask(0o022)
    try:
        project.run_cli("config", "set", "link", link)
        for name, size in (("small", 1), ("large", 1 << 17), ("d/large", 1 << 14), ("d/e", 1)):
            project.write(name, (SECRET + name).encode() * size)
            (project.root / name).chmod(0o600)
        project.run_cli("track", "small", "large", "d")
    finally:
        os.umask(umask)
    found = [path for path in project.lazydata_home.rglob("*") if path.is_file()]
    holding = [path for path in found if SECRET.encode() in path.read_bytes()]
    assert len(holding) == 4
    assert [path for path in holding if path.stat().st_mode & 0o077] == []
