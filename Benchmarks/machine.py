"""One process for one sample: started, timed out, and nothing of it left."""
import json
import os
import signal
import subprocess
import time

ENV = os.environ
PEERS = ["execnet", "mitogen", "chopsticks", "asyncssh", "fabric"]
HERE = os.path.dirname(os.path.abspath(__file__))


def idle_share(seconds=0.1):
    """Which part of the processors is idle."""
    def read():
        with open("/proc/stat") as stat:
            fields = [int(field) for field in stat.readline().split()[1:]]
        return fields[3] + fields[4], sum(fields[:8])
    a = read()
    time.sleep(seconds)
    b = read()
    return (b[0] - a[0]) / max(1, b[1] - a[1])


class Machine:
    def __init__(self, quick):
        self.quick = quick
        self.patience = 10 if quick else 120     # seconds in all to wait for others' builds to pause
        self.probe, self.program, self.agent = ENV["BENCH_PROBE"], ENV["BENCH_PROGRAM"], ENV["BENCH_AGENT"]
        self.config, self.work = ENV["BENCH_SSH_CONFIG"], ENV["BENCH_WORK"]
        self.python = ENV["BENCH_PYTHON"]
        self.peers_python = ENV.get("BENCH_PEERS_PYTHON")

    @property
    def cache(self):
        return self.work + "/cache-clean"

    def wait_for_quiet(self, most=3):
        """Others use this machine too: a sample waits a little until they leave the processors alone."""
        start = time.time()
        while True:
            share = idle_share()
            waited = time.time() - start
            if share >= 0.8 or waited > min(most, self.patience):
                self.patience -= waited
                return share
            time.sleep(0.2)

    def sample(self, who, command, timeout=120, env={}, input=None):
        """Runs a command that prints its values as a line of JSON."""
        quiet = self.wait_for_quiet()
        result = {"who": who, "values": {}}
        process = subprocess.Popen(command, stdin=subprocess.PIPE if input else subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/", start_new_session=True,
                                   env=dict(ENV, **env))
        try:
            out, err = process.communicate(input, timeout=timeout)
            text = out.decode(errors="replace").strip().splitlines()
            line = json.loads(text[-1]) if text and text[-1].startswith("{") else None
            if line is None or process.returncode != 0 and "error" not in line:
                said = err.decode(errors="replace").strip()[-200:]
                result["error"] = "exit status %s: %s" % (process.returncode, said)
            elif "who" in line:
                result.update({key: line[key] for key in ("values", "error", "skip") if key in line})
            else:
                result["values"] = line
        except subprocess.TimeoutExpired:
            result["error"] = "no result within %d s" % timeout
        except KeyboardInterrupt:
            raise
        finally:
            end(process)
        result.update(idle_before=round(quiet, 2), load=round(os.getloadavg()[0], 2))
        return result

    # What the cases are made of: each returns a function that takes a sample.

    def floor(self, *words, timeout=120):
        return lambda: self.sample("floor", [self.probe, *map(str, words)], timeout)

    def ours(self, name, way="local", count=None, timeout=120, **more):
        words = [self.program, name, "--way", way, "--config", self.config, "--cache", self.cache]
        if count:
            words += ["--count", str(count)]
        for key, value in more.items():
            words += ["--" + key, str(value)]
        return lambda: self.sample("martlet", words, timeout)

    def peer(self, who, name, way, timeout=120, **env):
        words = [self.peers_python, "-B", "%s/peers/%s_peer.py" % (HERE, who), name]
        return lambda: self.sample(who, words, timeout, env=dict(env, BENCH_WAY=way, PYTHONWARNINGS="ignore"))

    def peers(self, name, way, without=(), timeout=120, **env):
        if not self.peers_python:
            return []
        able = PEERS if way == "ssh" and name in ("connect", "call", "run", "fan") else PEERS[:3]
        return [self.peer(who, name, way, timeout, **env) for who in able if who not in without]

    def ssh(self, host="clean"):
        return ["ssh", "-F", self.config, host]


class Watched:
    """Our program in a case that tells who it is and then waits for input: to be looked at from outside."""

    def __init__(self, machine, *words, timeout=60):
        self.process = subprocess.Popen([machine.program, *words, "--config", machine.config], cwd="/",
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        start_new_session=True)
        self.timeout = timeout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)

    def line(self):
        """The next line; the deadline is kept by a kernel alarm, so that nothing here waits for ever."""
        def late(*_):
            raise TimeoutError("no answer within %d s" % self.timeout)
        signal.signal(signal.SIGALRM, late)
        signal.alarm(self.timeout)
        try:
            return json.loads(self.process.stdout.readline() or "{}")
        finally:
            signal.alarm(0)

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()


def end(process):
    """Ends a process with its group, and waits for it."""
    if process.poll() is None:
        if process.stdin:
            try:
                process.stdin.close()
            except OSError:
                pass
        try:
            process.wait(10 if process.stdin else 0.01)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass
    process.wait()


def pss(pid):
    """Memory in MiB, shared pages by share."""
    with open("/proc/%d/smaps_rollup" % pid) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def parent(pid):
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children(pid):
    return [other for other in pids() if parent(other) == pid]


def leftovers(patience=6):
    """What still runs of what was started here, other than the servers and ourselves; ends it."""
    token = ("MARTLET_BENCH=" + ENV["MARTLET_BENCH"]).encode()
    own = {os.getpid(), os.getppid()} | {pid for pid in children(os.getppid())}

    def find():
        found = {}
        for pid in set(pids()) - own:
            try:
                with open("/proc/%d/environ" % pid, "rb") as file:
                    if token not in file.read().split(b"\0"):
                        continue
                with open("/proc/%d/cmdline" % pid, "rb") as file:
                    found[pid] = file.read().replace(b"\0", b" ").decode(errors="replace")[:160]
            except OSError:
                pass
        return {pid: text for pid, text in found.items() if "sshd" not in text}
    deadline = time.time() + patience
    while (found := find()) and time.time() < deadline:
        time.sleep(0.1)
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    return ["%d %s" % item for item in found.items()]
