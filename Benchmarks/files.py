"""Copies files as ssh with cat or tar (the floor), scp, sftp and rsync do: `files.py WHO CASE CONFIG FOLDER`; prints a line of JSON.

The connection's own time, that of `ssh true`, is taken off what is measured: contexts are open already. Everything lies in
memory (/dev/shm), so that no disk is measured. The copy is compared with the original."""
import json
import os
import shutil
import subprocess
import sys
import time

who, case, config, folder = sys.argv[1:5]
ssh = ["ssh", "-F", config, "clean"]
options = ["-F", config]
near, far = folder + "/near", folder + "/far"
large, tree = near + "/large", near + "/tree"


def timed(*words, **more):
    start = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    return time.monotonic() - start


def cat_put(source, command):
    """From the moment that the far side is ready to the moment that it is done."""
    with subprocess.Popen([*ssh, "echo ready; %s; echo done" % command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as far_side:
        assert far_side.stdout.readline() == b"ready\n"
        start = time.monotonic()
        subprocess.run(source, stdout=far_side.stdin, check=True)
        far_side.stdin.close()
        assert far_side.stdout.readline() == b"done\n"
        return time.monotonic() - start


def cat_get(command, sink):
    with subprocess.Popen([*ssh, "read line; " + command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as far_side:
        time.sleep(1)
        start = time.monotonic()
        far_side.stdin.write(b"\n")
        far_side.stdin.close()
        subprocess.run(sink, stdin=far_side.stdout, check=True)
        return time.monotonic() - start


def connected(*words, **more):
    connect = min(timed(*ssh, "true") for _ in range(3))
    return max(1e-3, timed(*words, **more) - connect)


def batch(line):
    return dict(input=(line + "\n").encode())


name = "clean:" + far
runs = {
    ("floor", "put"): lambda: cat_put(["cat", large], "cat >%s/large" % far),
    ("floor", "get"): lambda: cat_get("cat " + large, ["sh", "-c", "cat >%s/large" % far]),
    ("floor", "tree"): lambda: cat_put(["tar", "-C", near, "-cf", "-", "tree"], "tar -C %s -xf -" % far),
    ("scp", "put"): lambda: connected("scp", *options, large, name + "/large"),
    ("scp", "get"): lambda: connected("scp", *options, "clean:" + large, far + "/large"),
    ("scp", "tree"): lambda: connected("scp", "-r", *options, tree, name + "/tree"),
    ("sftp", "put"): lambda: connected("sftp", *options, "-b", "-", "clean", **batch("put %s %s/large" % (large, far))),
    ("sftp", "get"): lambda: connected("sftp", *options, "-b", "-", "clean", **batch("get %s %s/large" % (large, far))),
    ("sftp", "tree"): lambda: connected(
        "sftp", *options, "-b", "-", "clean", **batch("mkdir %s/tree\nput -r %s %s/" % (far, tree, far))),
    ("rsync", "put"): lambda: connected("rsync", "-W", "-e", "ssh -F " + config, large, name + "/large"),
    ("rsync", "get"): lambda: connected("rsync", "-W", "-e", "ssh -F " + config, "clean:" + large, far + "/large"),
    ("rsync", "tree"): lambda: connected("rsync", "-a", "-e", "ssh -F " + config, tree, name + "/"),
}
if who != "floor" and not shutil.which(who):
    print(json.dumps({"who": who, "values": {}, "skip": "not here"}))
    sys.exit()
os.makedirs(far)
try:
    seconds = runs[who, case]()
    count = os.path.getsize(large)
    if case == "tree":
        assert sum(len(files) for _, _, files in os.walk(far + "/tree")) == sum(len(files) for _, _, files in os.walk(tree))
        values = {"seconds": seconds}
    else:
        subprocess.run(["cmp", large, far + "/large"], check=True)
        values = {"rate": count / seconds / 1e6}
    print(json.dumps({"who": who, "values": values}))
finally:
    shutil.rmtree(far)
