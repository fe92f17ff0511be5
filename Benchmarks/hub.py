"""Times commands that find a connection open: `hub.py WHO CONFIG FOLDER COUNT PROGRAM`; prints a line of JSON.

`martlet`: `martlet run` through its hub; `floor`: ssh through a master connection of its own (ControlMaster)."""
import json
import os
import signal
import statistics
import subprocess
import sys
import time

who, config, folder, count, program = sys.argv[1:6]
folder += "/hub-" + who
os.makedirs(folder, mode=0o700, exist_ok=True)
env = dict(os.environ, MARTLET_HUB=folder + "/socket", XDG_STATE_HOME=folder, XDG_CONFIG_HOME=folder)
socket = ["-S", folder + "/control"]
begin, command, end = {
    "martlet": (
        [program, "up", "-F", config, "-H", "clean"], [program, "run", "-F", config, "-H", "clean", "--", "true"],
        [program, "down"]),
    "floor": (
        ["ssh", "-F", config, *socket, "-o", "ControlMaster=yes", "-fN", "clean"],
        ["ssh", "-F", config, *socket, "clean", "true"], ["ssh", "-F", config, *socket, "-O", "exit", "clean"]),
}[who]


def late(*_):
    raise TimeoutError("not done within 60 s")


signal.signal(signal.SIGALRM, late)


def run(words):
    # Not by a timeout of its own: then Python looks for the end at 7.5, 15.5 and 31.5 ms.
    signal.alarm(60)
    subprocess.run(words, check=True, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    signal.alarm(0)


run(begin)
try:
    times = []
    for _ in range(int(count)):
        start = time.monotonic()
        run(command)
        times.append((time.monotonic() - start) * 1000)
    print(json.dumps({"median": statistics.median(times), "least": min(times)}))
finally:
    run(end)
