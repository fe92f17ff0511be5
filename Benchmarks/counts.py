"""What is counted from outside of the process: memory, bytes on the wire, system calls, instructions."""
import os
import re
import shutil
import signal
import subprocess
import time

from machine import Watched, children, end, pss


def guarded(who, body):
    """A sample, or the reason why there is none."""
    def sample():
        try:
            return {"who": who, "values": body()}
        except (OSError, ValueError, KeyError, StopIteration, subprocess.SubprocessError) as error:
            return {"who": who, "values": {}, "error": "%s: %s" % (type(error).__name__, error)}
    return sample


def settled(pid, still=1.5, patience=15):
    """Memory in MiB once it stays the same: an agent gives the code that only starting needs back half a second later."""
    deadline = time.time() + patience
    value, since = pss(pid), time.time()
    while time.time() - since < still:
        if time.time() > deadline:
            raise ValueError("the memory of %d does not settle" % pid)
        time.sleep(0.1)
        now = pss(pid)
        if abs(now - value) > 0.02:
            value, since = now, time.time()
    return value


def memory(m):
    def body():
        values = {}
        with Watched(m, "idle", "--way", "ssh", "--image", m.agent) as idle:
            agent = idle.line()["agent"]
            values["agent"] = settled(agent)
            idle.go()
            idle.line()
            values["agent_used"] = settled(agent)
            values["guard"] = sum(pss(pid) for pid in children(agent))
            idle.go()
            idle.process.wait(20)
        with Watched(m, "hold", "--way", "ssh", "--concurrency", "64") as used:
            agent = used.line()["agent"]
            values["called"] = settled(agent)
        return values
    return [guarded("martlet", body), *m.peers("memory", "ssh")]


def wire(m, cold):
    """Bytes through the socket of ssh, its own cryptography included."""
    path = m.work + "/bytes"

    def counted(take):
        def sample():
            if cold:
                shutil.rmtree(m.cache + "/martlet", ignore_errors=True)
            else:
                m.ours("once", "ssh")()     # fills the cache by a way that is not counted
            if os.path.exists(path):
                os.unlink(path)
            result = take()
            deadline = time.time() + 10
            while not os.path.exists(path) and time.time() < deadline:
                time.sleep(0.05)        # ssh does not wait for its proxy
            if result["values"]:
                try:
                    with open(path) as file:
                        sums = [int(word) for word in file.read().split()]
                    result["values"].update(up=sum(sums[0::2]), down=sum(sums[1::2]))
                    if result["values"].get("cached") == (1 if cold else 0):
                        raise OSError("the cache was not as it should be")
                except OSError as error:
                    result["error"] = str(error)
            return result
        return sample
    runs = [m.floor("connect", 1, *m.ssh("count"), "true"), m.ours("once", "ssh", host="count"),
            *m.peers("wire", "ssh", BENCH_HOST="count")]
    # `probe connect` has one more before the one that it times.
    return [halved(counted(runs[0])), *[counted(run) for run in runs[1:]]]


def halved(run):
    def sample():
        result = run()
        for key in ("up", "down"):
            if key in result["values"]:
                result["values"][key] /= 2
        return result
    return sample


def attached(m, concurrency, count, tracer, attached_by, read):
    """Lets a tracer look at one process, and then at the other, while calls are made: both at once would slow each
    other into another order of events."""
    values = {}
    for who in ("controller", "agent"):
        path = "%s/trace-%s" % (m.work, who)
        with Watched(m, "hold", "--concurrency", str(concurrency), "--count", str(count)) as held:
            pid = held.line()[who]
            process = subprocess.Popen([*tracer, "-o", path, "-p", str(pid)], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
            try:
                attached_by(process)
                held.go()
                if held.line().get("done") != count:
                    raise ValueError("the calls were not made")
                process.send_signal(signal.SIGINT)
                process.wait(20)
            finally:
                process.stderr.close()
                end(process)
            held.go()
            held.process.wait(20)
        with open(path) as file:
            for name, number in read(file.read()).items():
                values[who + name] = number / count
    return values


def system_calls(m, concurrency):
    if not shutil.which("strace"):
        return [lambda: {"who": "martlet", "values": {}, "skip": "no strace here"}]

    def wait(process):
        while line := process.stderr.readline():
            if b"attached" in line:
                return
        raise ValueError("strace cannot attach")

    def read(text):
        found = {}
        for line in text.splitlines():
            fields = line.split()
            if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]):
                found["" if fields[-1] == "total" else "_" + fields[-1]] = int(fields[3])
        return found
    count = 500 if m.quick else 5_000 * (1 if concurrency == 1 else 10)
    return [guarded("martlet", lambda: attached(m, concurrency, count, ["strace", "-f", "-c"], wait, read))]


def instructions(m, concurrency):
    """In user space and in the kernel, where the processor's counters can be read; in many virtual machines they cannot."""
    tested = shutil.which("perf") and subprocess.run(
        ["perf", "stat", "-x,", "-e", "instructions", "true"], capture_output=True, text=True)
    if not tested or tested.returncode != 0 or "<not" in tested.stderr:
        return [lambda: {"who": "martlet", "values": {}, "skip": "perf stat cannot count instructions here"}]

    def read(text):
        for line in text.splitlines():
            if "instructions" in line:
                return {"": float(line.split(",")[0])}
        raise ValueError(text)
    return [guarded("martlet", lambda: attached(
        m, concurrency, 500 if m.quick else 50_000, ["perf", "stat", "-x,", "-e", "instructions"],
        lambda process: time.sleep(0.5), read))]
