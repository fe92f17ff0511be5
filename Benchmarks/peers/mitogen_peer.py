import mitogen.core, mitogen.master
from concurrent.futures import ThreadPoolExecutor
from common import *
import far


class Scope:
    def __enter__(self):
        self.broker = mitogen.master.Broker()
        return mitogen.master.Router(self.broker)

    def __exit__(self, *_):
        self.broker.shutdown()
        self.broker.join()


def ssh(router, host=HOST):
    return router.ssh(hostname=host, python_path=PYTHON, ssh_args=["-F", CONFIG], check_host_keys="enforce",
                      connect_timeout=120, compression=False)


def make(router, outer=None):
    if WAY == "nested":
        return router.local(python_path=PYTHON, via=outer or ssh(router))
    return ssh(router) if WAY == "ssh" else router.local(python_path=PYTHON)


def connect():
    with Scope() as router:
        outer = ssh(router) if WAY == "nested" else None
        if outer:
            outer.call(os.getpid)

        def body():
            context = make(router, outer)
            context.call(os.getpid)
            return context
        return repeat(body, 4 if WAY == "ssh" else 10, close=lambda context: context.shutdown(wait=True))


def call():
    with Scope() as router:
        context = make(router)
        return calls(lambda i: context.call(far.echo, i), 3000)


def flight(count=10000):
    with Scope() as router:
        context = make(router)
        context.call(far.echo, 1)
        start = now()
        answers = [context.call_async(far.echo, i) for i in range(count)]
        for i, answer in enumerate(answers):
            assert answer.get().unpickle() == i
        return {"rate": count / (now() - start)}


def run():
    with Scope() as router:
        context = make(router)
        return repeat(lambda: context.call(os.system, "true"), 200, warm=5)


def fan(count=100):
    with Scope() as router:
        start = now()
        with ThreadPoolExecutor(count if WAY == "ssh" else 16) as pool:
            contexts = list(pool.map(lambda i: ssh(router, "c-%d" % i) if WAY == "ssh" else make(router),
                                     range(1, count + 1)))
        pids = [answer.get().unpickle() for answer in [context.call_async(os.getpid) for context in contexts]]
        taken = now() - start
        assert len(set(pids)) == count
        return {"seconds": taken}


def memory():
    with Scope() as router:
        pid = make(router).call(os.getpid)
        time.sleep(0.5)
        return {"agent": pss(pid) / 1024}


def once():
    with Scope() as router:
        make(router).call(os.getpid)
    return {"done": 1}


main("mitogen", {"connect": connect, "call": call, "flight": flight, "run": run, "fan": fan, "memory": memory,
                 "wire": once})
