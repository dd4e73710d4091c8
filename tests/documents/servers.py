"""The servers of the pages on S3, on the loopback device: ``servers.py s3``, ``servers.py tls``.

``s3`` starts one, says how to get at it in words of the shell, and ends. ``tls PORT CERTIFICATE
KEY`` takes TLS off what comes to port 443, passes it on to PORT, and goes on until it is ended.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import ssl
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "remotes"))


def s3() -> None:
    """Start SeaweedFS. It ends with the sandbox."""
    import seaweedfs

    if seaweedfs.find() is None:
        sys.exit(77)
    server = seaweedfs.start(Path(tempfile.mkdtemp()))
    for name, value in {**server.env, "AWS_ENDPOINT_URL": server.endpoint}.items():
        # The files are left to the pages: profiles belong to what they show.
        if not name.endswith("_FILE"):
            print(f"export {name}={shlex.quote(value)}")
    sys.stdout.flush()
    os._exit(0)


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()


async def tls(port: int, certificate: str, key: str) -> None:
    """Be the https:// of a server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass_on(reader, behind_writer), _pass_on(behind_reader, writer))

    async with await asyncio.start_server(connected, "127.0.0.1", 443, ssl=context) as server:
        await server.serve_forever()


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    if kind == "s3":
        s3()
    else:
        asyncio.run(tls(int(rest[0]), rest[1], rest[2]))
