"""``python -m lazydata``: the same as the ``lazydata`` command."""

from lazydata.cli import main

main()
