"""A line to a server that can be made slow: a TCP proxy on a free port of 127.0.0.1, which passes on what comes after a delay."""

import asyncio
import contextlib
import queue
import threading


class SlowLine:
    """Use as a context. `delay_s` may be changed meanwhile; it holds for each direction."""

    def __init__(self, port):
        self._to = port
        self.delay_s = 0.0
        self._started = queue.SimpleQueue()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self):
        self._thread.start()
        self.port, self._loop, self._over = self._started.get(timeout=60)
        return self

    def __exit__(self, *exc):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _serve(self):
        over = asyncio.Event()
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self._started.put((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), over))
        await over.wait()
        server.close()
        connections = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connect(self, reader, writer):
        async with contextlib.AsyncExitStack() as ends:
            ends.push_async_callback(_close, writer)
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", self._to)
                ends.push_async_callback(_close, back)
                await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))

    async def _pass_on(self, reader, writer):
        with contextlib.suppress(OSError):  # one side went away, and so does the other
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay_s)
                writer.write(data)
                await writer.drain()
        writer.close()


async def _close(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
