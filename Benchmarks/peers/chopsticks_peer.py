import warnings
warnings.simplefilter("ignore")
from chopsticks.group import Group
from chopsticks.queue import Queue
from chopsticks.tunnel import Local, SSHTunnel
from common import *
import far, far_chopsticks


class SSH(SSHTunnel):
    """A group keys its results by `host`, which is also what ssh gets; and there is no setting for `ssh -F`."""
    python3 = PYTHON

    def cmd_args(self):
        return ["ssh", "-F", CONFIG] + super().cmd_args()[1:]


class Here(Local):
    python3 = PYTHON


def make():
    return Here("here") if WAY == "local" else SSH(HOST)


def connect():
    if WAY == "nested":
        outer = SSH(HOST)
        outer.call(os.getpid)
        numbers = iter(range(1000))
        result = repeat(lambda: outer.call(far_chopsticks.open_inner, next(numbers)), 10,
                        close=lambda _: outer.call(far_chopsticks.close_inner))
        outer.close()
        return result

    def body():
        tunnel = make()
        tunnel.call(os.getpid)
        return tunnel
    return repeat(body, 4 if WAY == "ssh" else 10, close=lambda tunnel: tunnel.close())


def call():
    tunnel = make()
    if WAY == "nested":
        tunnel.call(far_chopsticks.open_inner, 0)
        result = calls(lambda i: tunnel.call(far_chopsticks.echo_inner, i), 2000)
    else:
        result = calls(lambda i: tunnel.call(far.echo, i), 3000)
    tunnel.close()
    return result


def flight(count=5000):
    """Its queue starts a tunnel's next call when the last one has ended; there is nothing faster."""
    tunnel = make()
    tunnel.call(far.echo, 1)
    queue = Queue()
    start = now()
    answers = [queue.call(tunnel, far.echo, i) for i in range(count)]
    queue.run()
    taken = now() - start
    assert [answer.value for answer in answers] == list(range(count))
    tunnel.close()
    return {"rate": count / taken}


def run():
    tunnel = make()
    result = repeat(lambda: tunnel.call(os.system, "true"), 200, warm=5)
    tunnel.close()
    return result


def fan(count=100):
    start = now()
    group = Group([SSH("c-%d" % i) if WAY == "ssh" else Here("h%d" % i) for i in range(1, count + 1)])
    answers = group.call(os.getpid)
    taken = now() - start
    answers.raise_failures()
    assert len(set(answers.values())) == count
    group.close()
    return {"seconds": taken}


def memory():
    tunnel = make()
    pid = tunnel.call(os.getpid)
    time.sleep(0.5)
    result = {"agent": pss(pid) / 1024}
    tunnel.close()
    return result


def once():
    tunnel = make()
    tunnel.call(os.getpid)
    tunnel.close()
    return {"done": 1}


main("chopsticks", {"connect": connect, "call": call, "flight": flight, "run": run, "fan": fan, "memory": memory,
                    "wire": once})
