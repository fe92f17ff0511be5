"""asyncssh runs commands only. Its ssh is its own: it leaves out what OpenSSH does for each connect, see README.md."""
import asyncio
import asyncssh
from common import *


def open_connection(**more):
    return asyncssh.connect(host="127.0.0.1", port=PORT, username=USER, client_keys=[KEY], known_hosts=KNOWN_HOSTS,
                            config=None, **more)


async def connect():
    times = []
    for i in range(-1, 4):
        start = now()
        connection = await open_connection()
        await connection.run("true", check=True)
        if i >= 0:
            times.append(now() - start)
        connection.close()
        await connection.wait_closed()
    return quantiles(times, 1e3)


async def call(count=2000):
    """64 bytes through a far program that echoes."""
    async with open_connection() as connection:
        process = await connection.create_process(PROBE + " echo", encoding=None)
        times = []
        for i in range(-100, count):
            start = now()
            process.stdin.write(b"x" * 64)
            await process.stdout.readexactly(64)
            if i >= 0:
                times.append(now() - start)
        process.close()
        return quantiles(times, 1e6)


async def run(count=60):
    async with open_connection() as connection:
        times = []
        for i in range(-3, count):
            start = now()
            await connection.run("true", check=True)
            if i >= 0:
                times.append(now() - start)
        return quantiles(times, 1e3)


async def fan(count=100):
    async def one():
        async with open_connection(connect_timeout=120, login_timeout=120) as connection:
            return (await connection.run("true", check=True)).exit_status
    start = now()
    assert sum(await asyncio.gather(*[one() for _ in range(count)])) == 0
    return {"seconds": now() - start}


def case(body):
    def run_it():
        if WAY != "ssh":
            raise Skip("ssh only")
        return asyncio.run(body())
    return run_it


main("asyncssh", {"connect": case(connect), "call": case(call), "run": case(run), "fan": case(fan)})
