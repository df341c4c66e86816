"""Measuring larder and memcached in turns, and the table and the JSON of it.

A ratio is larder's median by memcached's over the rounds.  The spread, in brackets, is (largest - smallest) / median of
the rounds, of the worse side: a ratio whose distance from 1 is within it says nothing.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys

import servers

LOAD_EXTRA_S = 90.0  # what a run of larder-load may take besides its time: filling, a silent server


def turns(rounds):
    """Who is measured when: 0 1, 1 0, 0 1 and so on."""
    return [side for turn in range(rounds) for side in ((0, 1) if turn % 2 == 0 else (1, 0))]


def spread(values):
    median = statistics.median(values)
    return (max(values) - min(values)) / median if median else 0.0


def larder_load():
    """The load generator of this tree, or the one that LARDER_LOAD names; ends the program without."""
    path = os.path.abspath(os.environ.get("LARDER_LOAD") or os.path.join(servers.ROOT, "build", "larder-load"))
    if not os.access(path, os.X_OK):
        sys.exit(f"{path} is not there: run `make all bench-load` first, or set LARDER_LOAD to its path")
    return path


def load(server, options, seconds):
    """Runs larder-load against a server that runs; gives what it says as JSON.  Other than 0 is an error."""
    command = [larder_load(), "-s", f"127.0.0.1:{server.port}", "-q", "-j", "-", "-d", str(seconds), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + LOAD_EXTRA_S)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def add_arguments(parser, rounds, seconds):
    """Options that all of these tools have."""
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N")
    parser.add_argument("--seconds", type=float, default=seconds, metavar="S", help="of one measurement")
    parser.add_argument("--json", metavar="FILE")


def fill(server, keys, options=()):
    """Stores that many keys."""
    load(server, ["-n", str(keys), "--fill", "-c", "4", "-p", "64", "-r", "0:1", *options], 0.01)


class Comparison:
    """The rows of one run.

    figures   (name, heading) of what each measurement gives; None in a figure: not measured
    """

    def __init__(self, figures, args):
        self.figures = figures
        self.args = args
        self.rows = []
        self.binaries = {"larder": servers.larder_binary()}
        if servers.memcached_binary():
            self.binaries["memcached"] = servers.memcached_binary()
        else:
            print("memcached is not in PATH: larder alone, no ratios")

    def measure(self, name, run, rounds=None):
        """Calls run(side, binary) for each side in turns, and prints what came of it."""
        runs = {side: [] for side in self.binaries}
        sides = list(self.binaries)
        for turn in turns(rounds or self.args.rounds):
            if turn < len(sides):
                runs[sides[turn]].append(run(sides[turn], self.binaries[sides[turn]]))
        row = {"name": name, "runs": runs, "figures": {key: self._figure(runs, key) for key, _ in self.figures}}
        self.rows.append(row)
        self._print(row)

    @contextlib.contextmanager
    def servers(self, options, keys=0):
        """Both servers, by side, while the `with` lasts; filled with that many keys."""
        with contextlib.ExitStack() as stack:
            started = {}
            for side, binary in self.binaries.items():
                started[side] = stack.enter_context(servers.Server(binary, options))
                if keys:
                    fill(started[side], keys)
            yield started

    @staticmethod
    def _figure(runs, key):
        """Median and spread of each side, and the ratio of the medians; None where a side has none."""
        result = {"ratio": None}
        for side, measured in runs.items():
            values = [figures[key] for figures in measured if figures.get(key) is not None]
            result[side] = {"median": statistics.median(values), "spread": spread(values)} if values else None
        if result["larder"] and result.get("memcached") and result["memcached"]["median"]:
            result["ratio"] = result["larder"]["median"] / result["memcached"]["median"]
        return result

    def _print(self, row):
        """A line for each figure that was measured."""
        print(row["name"], flush=True)
        for key, heading in self.figures:
            figure = row["figures"][key]
            if not figure["larder"] and not figure.get("memcached"):
                continue
            line = f"    {heading:44}"
            for side in self.binaries:
                line += f"{side} {figure[side]['median']:12.2f}   " if figure[side] else f"{side} {'-':>12}   "
            if figure["ratio"] is not None:
                worse = max(figure[side]["spread"] for side in self.binaries)
                line += f"ratio {figure['ratio']:6.2f} ({worse:4.0%})"
            print(line.rstrip(), flush=True)

    def write(self):
        """To the file of --json, if there is one."""
        if not self.args.json:
            return
        os.makedirs(os.path.dirname(os.path.abspath(self.args.json)), exist_ok=True)
        with open(self.args.json, "w", encoding="utf-8") as file:
            versions = {side: servers.version(binary) for side, binary in self.binaries.items()}
            json.dump({"versions": versions, "rounds": self.args.rounds, "seconds": self.args.seconds, "rows": self.rows},
                      file, indent=1)
            file.write("\n")
        print(self.args.json)
