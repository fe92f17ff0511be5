"""Runs the cases in rounds, floor and Martlet and peers in turns, and prints the table. Started by `run`."""
import argparse
import json
import os
import re
import signal
import sys
import time

from cases import CASES
from machine import Machine, leftovers
from table import table

parser = argparse.ArgumentParser()
parser.add_argument("--only", default="")
parser.add_argument("--rounds", type=int)
parser.add_argument("--quick", action="store_true")
parser.add_argument("--json", action="store_true")
parser.add_argument("--list", action="store_true")
options = parser.parse_args()

chosen = [case for case in CASES if re.search(options.only, case.name)]
if options.list or not chosen:
    print("\n".join(case.name for case in chosen or CASES))
    sys.exit(0 if options.list else 2)

machine = Machine(quick=options.quick)


def stop(*_):
    raise KeyboardInterrupt


signal.signal(signal.SIGTERM, stop)
rounds = options.rounds or (1 if options.quick else 5)
samples = []
started = time.time()
try:
    for number in range(rounds):
        for case in chosen:
            if case.once and number > 0:
                continue
            runs = case.runs(machine, number)
            for run in runs if number % 2 == 0 else reversed(runs):
                begun = time.time()
                sample = run()
                sample.update(case=case.name, round=number, took=round(time.time() - begun, 2))
                samples.append(sample)
                if options.json:
                    print(json.dumps(sample), flush=True)
                elif "error" in sample:
                    print("  ! %s %s: %s" % (case.name, sample["who"], sample["error"]), file=sys.stderr)
        print("round %d of %d done after %d s, load average %.2f" % (
            number + 1, rounds, time.time() - started, os.getloadavg()[0]), file=sys.stderr, flush=True)
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
left = leftovers()
print(table(chosen, samples), file=sys.stderr if options.json else sys.stdout, flush=True)
for line in left:
    print("left behind, now ended: " + line, file=sys.stderr)
missing = [case.name for case in chosen
           if not any(s["case"] == case.name and s["who"] == "martlet" and (s["values"] or "skip" in s) for s in samples)]
if missing:
    print("not measured at all: " + ", ".join(missing), file=sys.stderr)
sys.exit(1 if missing else 0)
