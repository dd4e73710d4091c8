"""Objects of packs become new files. Also a program of its own, which does it on another core."""

import os
import sys
from array import array

from lazydata.digest import Digest, fingerprint_of
from lazydata.errors import LazydataError
from lazydata.fsutil import write_new
from lazydata.helper import Helper, homes
from lazydata.packs import CODECS, PackedObject, verified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_PRINT = 16  # bytes of a fingerprint
_WIDTH = 5  # numbers an object in a question: which pack, and where and how it lies there
_DIGEST = len("blake3:") + 64
_PROGRAM = "import sys; sys.path += sys.argv[2:]; from lazydata.unpacking import main; main()"


class Wanted:
    """An object that is to become a file.

    Args:
        pack: path of the pack that it lies in.
        object: where in it; its digest is a BLAKE3.
        temp: path of the file.
    """

    __slots__ = ("object", "pack", "temp")

    def __init__(self, pack: str, object: PackedObject, temp: str) -> None:  # noqa: A002
        self.pack, self.object, self.temp = pack, object, temp


class UnpackingElsewhere:
    """Done by another process, for many objects at once.

    Args:
        seed: of the fingerprints of files.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, seed: int) -> None:
        import blake3
        import xxhash
        import zstandard

        self._helper = Helper(["-c", _PROGRAM, str(seed), *homes(blake3, xxhash, zstandard)])

    def begin(self, wanted: "Sequence[Wanted]") -> None:
        """Have files made; ask for nothing else before the answer."""
        packs = {pack: at for at, pack in enumerate(dict.fromkeys(each.pack for each in wanted))}
        paths = "\0".join([*packs, *(each.temp for each in wanted)])
        text = paths.encode("utf-8", "surrogateescape")
        numbers = array("q", (len(text), len(packs), len(wanted)))
        for each in wanted:
            at = each.object
            codec = CODECS.index(at.codec)
            numbers.extend((packs[each.pack], at.offset, at.stored, at.size, codec))
        digests = "".join(each.object.digest for each in wanted).encode("ascii")
        self._helper.tell(numbers.tobytes() + text + digests)

    def has_answered(self) -> bool:
        """Whether an answer need not be waited for."""
        import select

        waiting = select.poll()
        waiting.register(self._helper.stdout, select.POLLIN)
        return bool(waiting.poll(0))

    def answer(self, count: int) -> "list[bytes] | None":
        """The fingerprint of each file, empty where there is none; None if it has ended."""
        data = self._helper.stdout.read((1 + _PRINT) * count)
        if len(data) < (1 + _PRINT) * count:
            return None
        made, prints = data[:count], data[count:]
        return [prints[_PRINT * at : _PRINT * (at + 1)] if made[at] else b"" for at in range(count)]

    def close(self) -> None:
        """End the process."""
        self._helper.close()


def unpack(pack: int, at: PackedObject, temp: str, seed: int) -> bytes:
    """Write an object to a new file, not flushed.

    Args:
        pack: descriptor of the pack.
        at: where the object lies in it.
        temp: path of the file; it is gone again if this fails.
        seed: of its fingerprint, which is returned.

    Raises:
        ObjectCorrupt, NeedsUpgrade: it can't be had from there.
        OSError: it can't be read or written.
    """
    data = verified(at.digest, at.codec, os.pread(pack, at.stored, at.offset), at.size)
    write_new(temp, data)
    return fingerprint_of(data, seed)


def main() -> None:
    """Make the files that stdin asks for, until it ends."""
    seed = int(sys.argv[1])
    asked, out = sys.stdin.buffer, sys.stdout.buffer
    try:
        while len(head := asked.read(24)) == 24:
            length, packs, count = memoryview(head).cast("q")
            numbers = memoryview(asked.read(8 * _WIDTH * count)).cast("q")
            paths = asked.read(length).decode("utf-8", "surrogateescape").split("\0")
            digests = asked.read(_DIGEST * count).decode("ascii")
            opened = [_open(path) for path in paths[:packs]]
            made, prints = bytearray(count), bytearray(_PRINT * count)
            for number, temp in enumerate(paths[packs:]):
                pack, offset, stored, size, codec = numbers[number * _WIDTH :][:_WIDTH]
                digest = Digest(digests[number * _DIGEST : (number + 1) * _DIGEST])
                at = PackedObject(digest, size, offset, stored, CODECS[codec])
                try:
                    found = unpack(opened[pack], at, temp, seed)
                except (OSError, LazydataError):
                    continue  # the caller meets it too, and says so
                made[number] = 1
                prints[_PRINT * number : _PRINT * (number + 1)] = found
            for each in opened:
                if each >= 0:
                    os.close(each)
            out.write(made + prints)
            out.flush()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)  # nobody wants the rest


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return -1
