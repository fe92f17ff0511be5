"""What every driver of a peer shares. One process measures one case and prints one line of JSON, as our own program does."""
import json, os, resource, signal, statistics, sys, time, traceback

CONFIG = os.environ["BENCH_SSH_CONFIG"]     # names the hosts: clean, login, count, c-1 ...
HOST = os.environ.get("BENCH_HOST", "clean")
PORT = int(os.environ["BENCH_PORT"])        # of `clean`, for those who bring their own ssh
KEY = os.environ["BENCH_KEY"]
KNOWN_HOSTS = os.environ["BENCH_KNOWN_HOSTS"]
PROBE = os.environ["BENCH_PROBE"]
PYTHON = os.environ["BENCH_PYTHON"]         # the far interpreter, the same for all
USER = os.environ["BENCH_USER"]
WAY = os.environ.get("BENCH_WAY", "local")  # local | ssh | nested
now = time.perf_counter


class Skip(Exception):
    """The peer has no such thing."""


def quantiles(times, factor):
    times = sorted(times)
    return {"mean": statistics.fmean(times) * factor, "median": statistics.median(times) * factor,
            "p99": times[int(len(times) * 0.99)] * factor}


def repeat(body, count, warm=1, close=None, factor=1e3):
    """Times `body`; what it returns goes to `close` outside of the time."""
    times = []
    for i in range(-warm, count):
        start = now()
        result = body()
        taken = now() - start
        if i >= 0:
            times.append(taken)
        if close:
            close(result)
    return quantiles(times, factor)


def calls(body, count, warm=500):
    for i in range(warm):
        body(i)
    times = []
    for i in range(count):
        start = now()
        body(i)
        times.append(now() - start)
    return quantiles(times, 1e6)


def pss(pid):
    """KiB, shared pages by share."""
    with open("/proc/%d/smaps_rollup" % pid) as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main(who, cases):
    name = sys.argv[1]
    out = {"who": who, "case": name, "values": {}}
    real = os.fdopen(os.dup(1), "w")        # peers may print; our line is kept apart
    os.dup2(2, 1)
    code = 0
    try:
        if name not in cases:
            raise Skip("%s has no %s" % (who, name))
        out["values"] = {key: round(value, 4) for key, value in cases[name]().items()}
    except Skip as reason:
        out["skip"] = str(reason)
    except BaseException as error:
        traceback.print_exc()
        out["error"] = "%s: %s" % (type(error).__name__, str(error)[:300])
        code = 1
    print(json.dumps(out), file=real, flush=True)
    os._exit(code)                          # atexit handlers of peers can hang; each case closes what it opened
