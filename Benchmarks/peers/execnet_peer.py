import execnet, execnet.gateway_io
from concurrent.futures import ThreadPoolExecutor
from common import *

# On loopback compression only costs; execnet has no setting for it.
original = execnet.gateway_io.ssh_args
execnet.gateway_io.ssh_args = lambda spec: [word for word in original(spec) if word != "-C"]

ECHO = "for x in channel: channel.send(x)"
DRAIN = "n = 0\nfor x in channel:\n  if x is None: break\n  n += len(x)\nchannel.send(n)"
PID = "import os\nchannel.send(os.getpid())"
SYSTEM = "import os\nfor x in channel: channel.send(os.system(x))"


def ssh(host):
    return "ssh=%s//ssh_config=%s//python=%s" % (host, CONFIG, PYTHON)


def make(group, way=WAY, host=HOST):
    if way == "nested":
        if not len(group):
            group.makegateway(ssh(host) + "//id=outer").remote_exec(PID).receive()
        return group.makegateway("popen//python=%s//via=outer" % PYTHON)
    return group.makegateway(ssh(host) if way == "ssh" else "popen//python=" + PYTHON)


def leave(group):
    try:
        group.terminate(1)
    except Exception:
        pass                                # execnet 2.1.2 raises here after a `via` gateway; the figures stand


def connect():
    group = execnet.Group()
    if WAY == "nested":
        make(group).remote_exec(PID).receive()

    def body():
        gateway = make(group)
        gateway.remote_exec(PID).receive()
        return gateway
    result = repeat(body, 4 if WAY == "ssh" else 10, close=lambda gateway: (gateway.exit(), gateway.join()))
    leave(group)
    return result


def call():
    group = execnet.Group()
    channel = make(group).remote_exec(ECHO)

    def body(i):
        channel.send(i)
        assert channel.receive() == i
    result = calls(body, 3000)
    leave(group)
    return result


def flight(count=20000):
    group = execnet.Group()
    channel = make(group).remote_exec(ECHO)
    channel.send(0), channel.receive()
    start = now()
    for i in range(count):
        channel.send(i)
    for i in range(count):
        assert channel.receive() == i
    taken = now() - start
    leave(group)
    return {"rate": count / taken}


def bulk(count=256, size=1 << 20):
    """There is no half-closing: a `None` is the end."""
    group = execnet.Group()
    gateway = make(group)
    item = bytes(size)
    for number in (64, count):
        channel = gateway.remote_exec(DRAIN)
        start = now()
        for _ in range(number):
            channel.send(item)
        channel.send(None)
        assert channel.receive() == number * size
        taken = now() - start
    leave(group)
    return {"rate": count * size / taken / 1e6}


def run():
    group = execnet.Group()
    channel = make(group).remote_exec(SYSTEM)

    def body():
        channel.send("true")
        assert channel.receive() == 0
    result = repeat(body, 200, warm=5)
    leave(group)
    return result


def fan(count=100):
    group = execnet.Group()
    start = now()
    if WAY == "ssh":
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda i: make(group, host="c-%d" % i), range(1, count + 1)))
    else:
        for _ in range(count):
            make(group)
    pids = [channel.receive() for channel in group.remote_exec(PID)]
    taken = now() - start
    assert len(set(pids)) == count
    leave(group)
    return {"seconds": taken}


def memory():
    group = execnet.Group()
    pid = make(group).remote_exec(PID).receive()
    time.sleep(0.5)
    result = {"agent": pss(pid) / 1024}
    leave(group)
    return result


def once():
    group = execnet.Group()
    make(group).remote_exec(PID).receive()
    leave(group)
    return {"done": 1}


main("execnet", {"connect": connect, "call": call, "flight": flight, "bulk": bulk, "run": run, "fan": fan, "memory": memory,
                 "wire": once})
