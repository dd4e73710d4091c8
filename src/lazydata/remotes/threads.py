"""The event loop and the threads beside it: blocking work, much at once, and a way in."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from lazydata.errors import LazydataError
from lazydata.fsutil import fsync_file

T = TypeVar("T")


_THREADS = 64
_STEP = 0.1  # seconds between two looks for Ctrl-C
_GRACE = 0.8  # seconds to wait for cancelled work
_FLUSH_SECONDS = 0.2
_FLUSH_FROM = 32 << 20


class DaemonPool(ThreadPoolExecutor):
    """Threads that nobody waits for when the interpreter ends.

    The standard pool joins its threads then, so that Ctrl-C would take as long as the
    slowest server. It is only a base here because asyncio insists on one.

    Args:
        size: how many threads at most; each is started when there is no idle one.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._size = size
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._resting = threading.Semaphore(0)
        self._started: list[threading.Thread] = []

    def submit(self, call: Callable[..., T], /, *args: Any, **more: Any) -> Future[T]:
        """See ``Executor.submit``; called from one thread, the loop's."""
        future: Future[T] = Future()
        self._waiting.put((future, partial(call, *args, **more)))
        if not self._resting.acquire(blocking=False) and len(self._started) < self._size:
            thread = threading.Thread(target=self._run, name="lazydata", daemon=True)
            self._started.append(thread)
            thread.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See ``Executor.shutdown``."""
        for _ in self._started:
            self._waiting.put(None)
        for thread in self._started if wait else ():
            thread.join()

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            future, call = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
            del item, future, call  # what they hold must not live until the next one comes
            self._resting.release()


class StoppedError(Exception):
    """Long work found its ``Stop`` set; nobody waits for its result."""


class Stop(threading.Event):
    """How long work in a thread learns that it was cancelled."""

    def check(self) -> None:
        """Raise ``StoppedError`` if it was."""
        if self.is_set():
            raise StoppedError


async def in_thread(work: Callable[..., T], *args: object, stop: Stop | None = None) -> T:
    """Run blocking work in a thread of the loop's pool.

    Unlike ``asyncio.to_thread`` it waits for the thread also when cancelled:
    a thread that is left behind would go on writing to a file that its caller
    has cleaned up already.

    Args:
        work: what to call, with ``args``.
        stop: set on cancellation; long work looks at it now and then.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work, *args)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if stop is not None:
            stop.set()
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # looked at, so that asyncio does not report it
        raise


@asynccontextmanager
async def leaving_in_thread(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter at once; leave in a thread, since leaving reads and hashes all that arrived."""
    entered = manager.__enter__()
    try:
        yield entered
    except BaseException as error:
        if not await in_thread(manager.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await in_thread(manager.__exit__, None, None, None)


@asynccontextmanager
async def flushing(target: Path) -> AsyncIterator[None]:
    """Flush a file while it is filled: the disk then works beside the network, not after it."""

    async def flush() -> None:
        flushed = 0
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            try:
                size = await in_thread(os.path.getsize, target)
                if size - flushed >= _FLUSH_FROM:
                    await in_thread(fsync_file, str(target))
                    flushed = size
            except OSError:
                return  # what is wrong is told when it is flushed for good

    flushing = asyncio.create_task(flush())
    try:
        yield
    finally:
        flushing.cancel()
        await asyncio.wait([flushing])


async def spread(items: Iterable[T], limit: int, work: Callable[[T], Awaitable[None]]) -> None:
    """Do something for each item, a few at a time; items are drawn as they are needed.

    Args:
        items: drawn one by one.
        limit: how many are worked on at once.
        work: called with each; the first one that raises ends them all.

    Raises:
        Exception: what ``work`` raised first; by then nothing runs any more.
    """
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    workers = [asyncio.create_task(worker()) for _ in range(max(1, limit))]
    try:
        # Not gather(): it would cancel them itself, and a second cancellation
        # takes away the time that the first one gives for cleaning up.
        done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        first = next((each for each in done if each.exception()), None)
    finally:
        for each in workers:
            each.cancel()
        await asyncio.wait(workers)
        for each in workers:
            if not each.cancelled():
                each.exception()  # looked at, so that asyncio does not report it
    if first:
        first.result()


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function to its end, from code that is not asynchronous.

    It runs in an event loop in a thread of its own, so it also works where a
    loop is running already, as in notebooks. Loop, threads and whatever
    ``main`` opened end with the call: there is nothing that a forked child
    could inherit and use.

    Ctrl-C cancels the work; cancelled work cleans up behind itself.

    Args:
        main: called in that thread.

    Raises:
        KeyboardInterrupt: within about a second of Ctrl-C.
        Exception: what the coroutine raised.

    Example:
        >>> async def answer() -> int:
        ...     return 42
        >>> run(answer)
        42
    """
    work = _Work(main)
    thread = threading.Thread(target=work.run, name="lazydata", daemon=True)
    pid = os.getpid()
    try:
        thread.start()
        # In short steps: a wait without an end does not notice Ctrl-C everywhere.
        while not work.ended.wait(_STEP):
            if os.getpid() != pid:  # a signal handler forked, and threads do not follow
                raise LazydataError("this process was forked in the middle of a transfer")
    except BaseException:
        if os.getpid() == pid:
            work.cancel()
            work.ended.wait(_GRACE)
        raise
    if work.error is not None:
        raise work.error
    return work.results[0]


class _Work(Generic[T]):
    """One coroutine in a loop of its own, and how it ended."""

    def __init__(self, main: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._main = main
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cancelled = False
        self.ended = threading.Event()
        self.results: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        """Run it; called in its thread."""
        try:
            with asyncio.Runner() as runner:
                runner.get_loop().set_default_executor(DaemonPool(_THREADS))
                self.results.append(runner.run(self._watched()))
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()

    def cancel(self) -> None:
        """Cancel it; called from any thread."""
        with self._lock:
            self._cancelled = True
            if self._loop and self._task and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def _watched(self) -> T:
        with self._lock:
            if self._cancelled:
                raise asyncio.CancelledError
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        return await self._main()
