"""Fabric runs commands only, with paramiko's own ssh, see README.md."""
import warnings
warnings.simplefilter("ignore")
from fabric import Config, Connection, ThreadingGroup
from common import *

SETTINGS = Config(overrides={"load_ssh_configs": False})


def make(**more):
    keys = {"key_filename": KEY, "look_for_keys": False, "allow_agent": False, "banner_timeout": 120,
            "auth_timeout": 120}
    return Connection("127.0.0.1", user=USER, port=PORT, connect_kwargs=keys, config=SETTINGS, **more)


def true(connection):
    assert connection.run("true", hide=True, in_stream=False).ok


def connect():
    def body():
        connection = make()
        true(connection)
        return connection
    return repeat(body, 4, close=lambda connection: connection.close())


def call():
    """64 bytes through a far program that echoes, by paramiko's bare channel."""
    connection = make()
    connection.open()
    channel = connection.client.get_transport().open_session()
    channel.exec_command(PROBE + " echo")

    def body(_):
        channel.sendall(b"x" * 64)
        have = 0
        while have < 64:
            have += len(channel.recv(64 - have))
    result = calls(body, 2000, warm=100)
    connection.close()
    return result


def run():
    connection = make()
    result = repeat(lambda: true(connection), 15, warm=2)
    connection.close()
    return result


def fan(count=100):
    start = now()
    group = ThreadingGroup.from_connections([make(connect_timeout=120) for _ in range(count)])
    results = group.run("true", hide=True, in_stream=False)
    taken = now() - start
    assert all(result.ok for result in results.values())
    return {"seconds": taken}


def case(body):
    def run_it():
        if WAY != "ssh":
            raise Skip("ssh only")
        return body()
    return run_it


main("fabric", {"connect": case(connect), "call": case(call), "run": case(run), "fan": case(fan)})
