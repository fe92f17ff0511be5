"""What is measured: for each case who takes part, and which rows of the table it makes. Targets are DESIGN's budgets."""
import gzip
import os
import shutil
import tempfile

import counts

AT_LEAST, AT_MOST, RATIO, AT_LEAST_RATIO = "≥", "≤", "≤ ×", "≥ ×"
AT_LEAST_PEERS, AT_MOST_PEERS = "≥ peers'", "≤ peers'"


class Row:
    """A row: a value of each sample. A ratio is taken to the floor of the same round."""

    def __init__(self, title, unit, value, kind=None, limit=None, floor=None, compare=True):
        self.title, self.unit, self.value, self.kind, self.limit = title, unit, value, kind, limit
        self.floor = floor or value
        self.compare = compare

    @property
    def target(self):
        if self.kind is None:
            return ""
        if self.limit is None:
            return self.kind
        return self.kind + (" " if "×" not in self.kind else "") + format(self.limit, ",g")


class Case:
    def __init__(self, name, runs, *rows, once=False):
        self.name, self.rows, self.once = name, rows, once
        self.all_runs = runs

    def runs(self, machine, number):
        """Who takes part in a round. Peers need up to half a minute for 100 contexts: once is enough."""
        runs = self.all_runs(machine)
        return runs if number == 0 or not self.name.startswith("fan/") else runs[:2]


def fewer(machine, count):
    return max(1, count // 10) if machine.quick else count


def connect(way, *row, floor="spawn", **more):
    def runs(m):
        below = m.floor("spawn", 100, "/bin/true") if floor == "spawn" else m.floor("connect", 4, *m.ssh(), "true")
        return [below, m.ours("connect", way), *m.peers("connect", way)]
    return Case("connect/" + way, runs, Row(*row, **more))


def sudo(m):
    count = fewer(m, 100)
    return [m.floor("spawn", count, shutil.which("sudo") or "/usr/bin/sudo", "-n", "true"), m.ours("connect", "sudo")]


def hops(m):
    jump = ["-J", "clean,clean"]
    command = m.ssh()
    return [m.floor("connect", 4, command[0], *jump, *command[1:], "true"), m.ours("connect", "hops")]


def call(way, target, echo):
    def runs(m):
        count = fewer(m, 20_000 if way == "local" else 5_000)
        return [m.floor("pingpong", count, 64, *echo(m)), m.ours("call", way, count), *m.peers("call", way)]
    name = {"local": "local", "ssh": "over ssh", "nested": "local in ssh"}[way]
    return Case("call/" + way, runs,
                Row("call, %s, mean" % name, "µs", "mean", RATIO, target),
                Row("call, %s, median" % name, "µs", "median"),
                Row("  its processor time here", "µs", "cpu_controller", floor="-"),
                Row("  its processor time there", "µs", "cpu_agent", floor="-"))


def flight(way, target):
    def runs(m):
        return [m.ours("flight", way, fewer(m, 100_000)), *m.peers("flight", way)]
    return Case("flight/" + way, runs,
                Row("calls a second in flight, " + way, "1/s", "rate", AT_LEAST, target),
                Row("  at how many at once", "", "concurrency"))


def run(way, target):
    def runs(m):
        return [m.floor("spawn", fewer(m, 300), "/bin/true"), m.ours("run", way, fewer(m, 300)), *m.peers("run", way)]
    return Case("run/" + way, runs, Row("run true, " + way, "ms", "median", AT_MOST, target))


def operation(way, target):
    def runs(m):
        return [m.floor("spawn", fewer(m, 300), "/bin/true"), m.ours("operation", way, fewer(m, 300)), *m.peers("run", way)]
    return Case("operation/" + way, runs, Row("remote(\"true\"), " + way, "ms", "median", AT_MOST, target))


def bulk(way, target):
    def runs(m):
        count = fewer(m, 1024 if way == "local" else 512)
        reader = [m.probe, "drain"] if way == "local" else [*m.ssh(), "exec cat >/dev/null"]
        return [m.floor("pour", 1 << 20, count, *reader), m.ours("bulk", way, count), *m.peers("bulk", way)]
    return Case("bulk/" + way, runs, Row("channel, 1 MiB items, " + way, "MB/s", "rate", AT_LEAST_RATIO, target))


def items(way, target):
    def runs(m):
        count = fewer(m, 2_000_000)
        reader = [m.probe, "drain"] if way == "local" else [*m.ssh(), "exec cat >/dev/null"]
        return [m.floor("items", count, *reader), m.ours("items", way, count), *m.peers("items", way)]
    return Case("items/" + way, runs, Row("channel, small items a second, " + way, "1/s", "rate", AT_LEAST, target))


# Python contexts: the interpreter is the peers' own.

def python_peers(m, name, way):
    return m.peers(name, way, without=("asyncssh", "fabric"))


def python_connect(way, *target):
    def runs(m):
        floor = (m.floor("spawn", fewer(m, 30), m.python, "-c", "pass") if way == "local" else
                 m.floor("connect", 4, *m.ssh(), m.python + " -c pass"))
        return [floor, m.ours("python-connect", way, python=m.python), *python_peers(m, "connect", way)]
    return Case("python-connect/" + way, runs,
                Row("Python: connect, %s" % way, "ms", "median", *target),
                Row("  beside the peers", "ms", "median", AT_MOST_PEERS),
                Row("  the context alone", "ms", "connect", floor="-"))


def python_call(way):
    def runs(m):
        echo = [m.probe, "echo"] if way == "local" else [*m.ssh(), "exec cat"]
        count = fewer(m, 3_000)
        return [m.floor("pingpong", count, 64, *echo), m.ours("python-call", way, count, python=m.python),
                *python_peers(m, "call", way)]
    return Case("python-call/" + way, runs, Row("Python: call, %s, mean" % way, "µs", "mean", AT_MOST_PEERS),
                Row("Python: call, %s, median" % way, "µs", "median"))


def python_bulk(way):
    def runs(m):
        count = fewer(m, 256)
        reader = [m.probe, "drain"] if way == "local" else [*m.ssh(), "exec cat >/dev/null"]
        return [m.floor("pour", 1 << 20, count, *reader), m.ours("python-bulk", way, count, python=m.python),
                *python_peers(m, "bulk", way)]
    return Case("python-bulk/" + way, runs,
                Row("Python: channel, 1 MiB items, " + way, "MB/s", "rate", AT_LEAST_PEERS))


# Files: in memory, so that it is the copying that is measured.

def files(case, *rows):
    def runs(m):
        folder = tempfile.mkdtemp(prefix="martlet-bench-", dir="/dev/shm")
        os.mkdir(folder + "/near")
        if case == "tree":
            count = fewer(m, 10_000)
            for number in range(count):
                inner = "%s/near/tree/%d" % (folder, number // 100)
                os.makedirs(inner, exist_ok=True)
                with open("%s/%d" % (inner, number), "wb") as file:
                    file.write(os.urandom(number % 2048))
        open(folder + "/near/large", "wb").close()
        if case != "tree":
            with open(folder + "/near/large", "wb") as file:
                for _ in range(fewer(m, 256)):
                    file.write(os.urandom(1 << 20))
        here = os.path.dirname(os.path.abspath(__file__))

        def ours():
            sample = m.ours(case, "ssh", folder=folder)()
            shutil.rmtree(folder + "/ours", ignore_errors=True)
            if os.path.exists(folder + "/ours"):
                os.unlink(folder + "/ours")
            return sample

        def other(who):
            return lambda: m.sample(who, [m.python, "-B", here + "/files.py", who, case, m.config, folder])

        return Sweeping([other("floor"), ours, *[other(who) for who in ("scp", "sftp", "rsync")]],
                        lambda: shutil.rmtree(folder, ignore_errors=True))
    return Case("files/" + case, runs, *rows)


def hub(m):
    here = os.path.dirname(os.path.abspath(__file__))
    program = os.path.dirname(m.program) + "/martlet"

    def one(who):
        return lambda: m.sample(who, [m.python, "-B", here + "/hub.py", who, m.config, m.work, str(fewer(m, 40)), program])
    return [one("floor"), one("martlet")]


class Sweeping(list):
    """The runs of a round, in either order, and what is done behind the last."""

    def __init__(self, runs, clean):
        super().__init__(runs)
        self.clean = clean

    def __iter__(self):
        yield from super().__iter__()
        self.clean()

    def __reversed__(self):
        yield from super().__reversed__()
        self.clean()


# What the floor is for rsync: the same over ssh, its own connect included.
RSYNC = """
set -e
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
head -c $(($1 << 20)) /dev/zero | openssl enc -aes-128-ctr -k x -nosalt -pbkdf2 >"$d/from"
now() { date +%s%N; }
a=$(now); rsync -W -e "ssh -F $2" "clean:$d/from" "$d/to"
b=$(now); rsync -W -e "ssh -F $2" "$d/to" "clean:$d/back"
c=$(now); cmp "$d/from" "$d/back"
printf '{"get":%s,"put":%s}\\n' $(awk -v n=$1 -v a=$((b - a)) -v b=$((c - b)) 'BEGIN { print n * 1.048576e9 / a, n * 1.048576e9 / b }')
"""


def rsync(m):
    count = fewer(m, 256)
    return [lambda: m.sample("floor", ["bash", "-c", RSYNC, "bash", str(count), m.config]), m.ours("rsync", "ssh", count)]


def fan_local(m):
    count = 20 if m.quick else 100
    return [m.floor("many", count, "/bin/true"), m.ours("fan", "local", count), *m.peers("fan", "local")]


def fan_ssh(m):
    count = 10 if m.quick else 100
    command = "seq %d | xargs -P %d -I@ ssh -F %s c-@ true" % (count, count, m.config)
    return [m.floor("many", 1, "sh", "-c", command), m.ours("fan", "ssh", count),
            *([] if m.quick else m.peers("fan", "ssh"))]


def fleet(m):
    return [m.ours("fleet", "local", 50 if m.quick else 1000)]


def gateways(m):
    folder = tempfile.mkdtemp(prefix="martlet-bench-")
    return Sweeping([m.ours("gateways", "local", 5 if m.quick else 100, timeout=600, folder=folder, heartbeat=120)],
                    lambda: shutil.rmtree(folder, ignore_errors=True))


def cold(m):
    return [m.floor("connect", 4, *m.ssh(), "true"), m.ours("connect-cold", "ssh")]


def login(m):
    return [m.floor("connect", 4, *m.ssh("login"), "true"), m.ours("connect", "ssh", host="login"),
            *(m.peers("connect", "ssh", without=("asyncssh", "fabric"), BENCH_HOST="login"))]


def size(m):
    def sample():
        packed = m.work + "/agent.gz"
        with open(m.agent, "rb") as image, gzip.GzipFile(packed, "wb", 9) as out:
            shutil.copyfileobj(image, out)
        return {"who": "martlet", "values": {"stripped": os.path.getsize(m.agent) / 1e6,
                                             "packed": os.path.getsize(packed) / 1e6}}
    return [sample]


CASES = [
    connect("local", "connect, local", "ms", "median", AT_MOST, 3),
    connect("ssh", "connect, ssh, warm", "ms", "median", RATIO, 1.05, floor="ssh"),
    Case("connect-login/ssh", login, Row("connect, ssh, warm, with .bashrc", "ms", "median")),
    Case("connect-cold/ssh", cold, Row("connect, ssh, cold", "ms", "median", RATIO, 1.4),
         Row("  the first, image read and packed", "ms", "first", floor="median")),
    connect("nested", "connect, local in ssh", "ms", "median", AT_MOST, 5),
    Case("connect/sudo", sudo, Row("connect, sudo", "ms", "median"),
         Row("  the context alone", "ms", "connect", floor="-")),
    Case("connect/hops", hops, Row("connect, three hops of ssh", "ms", "median", RATIO, 1.1)),
    call("local", 1.3, lambda m: [m.probe, "echo"]),
    call("ssh", 1.2, lambda m: [*m.ssh(), "exec cat"]),
    call("nested", 1.2, lambda m: [*m.ssh(), "cat | %s echo | cat" % m.probe]),
    flight("local", 400_000),
    flight("ssh", 250_000),
    bulk("local", 0.9),
    bulk("ssh", 0.95),
    items("local", 1_500_000),
    items("ssh", 500_000),
    Case("beside/local", lambda m: [m.ours("beside", "local", fewer(m, 2_000))],
         Row("call beside a full channel, two hops, p99", "ms", "p99", AT_MOST, 5),
         Row("  median", "ms", "median"), Row("  the channel meanwhile", "MB/s", "rate")),
    run("local", 0.75),
    run("ssh", 0.75),
    files("put", Row("put 256 MiB, ssh", "MB/s", "rate", AT_LEAST_RATIO, 0.95)),
    files("get", Row("get 256 MiB, ssh", "MB/s", "rate", AT_LEAST_RATIO, 0.95)),
    files("tree", Row("10,000 small files, ssh, first copy", "s", "seconds", AT_MOST_PEERS),
          Row("  nothing to do", "s", "again", floor="-")),
    operation("local", 0.8),
    operation("ssh", 0.8),
    Case("hub/ssh", hub, Row("martlet run true, ssh, through a warm hub", "ms", "median", AT_MOST, 20),
         Row("  the quickest", "ms", "least")),
    Case("rsync/ssh", rsync, Row("rsync through a context's ssh, to here", "MB/s", "get", AT_LEAST_RATIO, 0.95),
         Row("  from here", "MB/s", "put", AT_LEAST_RATIO, 0.95)),
    Case("fan/local", fan_local, Row("100 local contexts at once", "s", "seconds", AT_MOST, 0.6)),
    Case("fleet/1000", fleet,
         Row("a group of 1,000 local contexts called", "s", "mean", AT_MOST, 1),
         Row("  without a group", "s", "direct"),
         Row("  connected", "s", "connect"),
         Row("  1,000 outputs grouped", "ms", "grouping", AT_MOST, 50)),
    Case("fleet/gateways", gateways,
         Row("10 MB to 1,000 local contexts behind 10 more: bytes sent, of 10 copies", "×", "copies", AT_MOST, 1.2),
         Row("  connected", "s", "connect"),
         Row("  copied", "s", "seconds"), once=True),
    Case("fan/ssh", fan_ssh, Row("100 ssh contexts at once", "s", "seconds", RATIO, 1.1)),
    python_connect("local"),
    python_connect("ssh", RATIO, 1.1),
    python_call("local"),
    python_call("ssh"),
    python_bulk("local"),
    python_bulk("ssh"),
    Case("agent/size", size, Row("agent, stripped, gzip -9", "MB", "packed", AT_MOST, 3.6),
         Row("  not compressed", "MB", "stripped"), once=True),
    Case("agent/memory", counts.memory, Row("agent idle, PSS", "MiB", "agent", AT_MOST, 4),
         Row("  once it has run a program", "MiB", "agent_used"),
         Row("  its guard process", "MiB", "guard"),
         Row("  this program, after 2,000 calls", "MiB", "called")),
    Case("wire/cold", lambda m: counts.wire(m, cold=True), Row("bytes up, ssh, cold", "B", "up"),
         Row("  down", "B", "down"), once=True),
    Case("wire/warm", lambda m: counts.wire(m, cold=False), Row("bytes up, ssh, warm", "B", "up"),
         Row("  down", "B", "down"), once=True),
    Case("system-calls/one", lambda m: counts.system_calls(m, 1),
         Row("system calls a call, here", "", "controller"), Row("  there", "", "agent"), once=True),
    Case("system-calls/many", lambda m: counts.system_calls(m, 256),
         Row("system calls a call, 256 in flight, here", "", "controller"), Row("  there", "", "agent"), once=True),
    Case("instructions/one", lambda m: counts.instructions(m, 1),
         Row("instructions a call, here", "", "controller"), Row("  there", "", "agent"), once=True),
    Case("instructions/many", lambda m: counts.instructions(m, 256),
         Row("instructions a call, 256 in flight, here", "", "controller"), Row("  there", "", "agent"), once=True),
]
