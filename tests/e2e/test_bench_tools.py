"""The tools in bench/: their arithmetic and what they say when something is missing, with a memtier_benchmark of ours."""

import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import SourceFileLoader

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BENCH = os.path.join(ROOT, "bench")
sys.path[:0] = [os.path.join(ROOT, "tests", "support"), BENCH]
sys.dont_write_bytecode = True
import servers  # noqa: E402
from server import TIMEOUT_S, Server, Skip, larder_binary, run_tests  # noqa: E402

# Plays memtier_benchmark: notes its options, and gives the next of the canned results.
FAKE = """#!{python}
import json, os, socket, sys
options = dict(zip(sys.argv[1:], sys.argv[2:]))
socket.create_connection((options["--server"], int(options["--port"]))).close()
with open({calls!r}, "a+") as file:
    file.seek(0)
    number = len(file.readlines())
    file.write(json.dumps(options) + "\\n")
ops, p50, p99 = {results!r}[number]
stats = {{"Count": ops, "Ops/sec": ops, "Percentile Latencies": {{"p50.00": p50, "p99.00": p99}}}}
gets = {{"Hits/sec": ops / 2, "Misses/sec": ops / 2}}
with open(options["--json-out-file"], "w") as file:
    json.dump({{"ALL STATS": {{"Totals": stats, "Gets": gets}}}}, file)
"""
FILLS = [(1, 1, 1), (1, 1, 1)]
ROW = "text, gets, pipe 16, 100 B, 32 conn, uniform"


def load(name):
    """The tool as a module."""
    loader = SourceFileLoader(f"bench_{name}", os.path.join(BENCH, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def run_tool(arguments, path, **env):
    """Runs a tool of bench/ with nothing but the directories of `path` in PATH."""
    return subprocess.run([sys.executable, os.path.join(BENCH, arguments[0]), *arguments[1:]], capture_output=True,
                          text=True, check=False, timeout=6 * TIMEOUT_S,
                          env={**os.environ, "PATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1", **env})


def write_program(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)


def run_memtier(results, *arguments, peer=True):
    """Runs bench/memtier with the fake; gives what it printed, its JSON, and the options of each call."""
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as directory:
        calls, report = os.path.join(directory, "calls"), os.path.join(directory, "report.json")
        write_program(directory, "memtier_benchmark", FAKE.format(python=sys.executable, calls=calls, results=results))
        done = run_tool(["memtier", "--json", report, *arguments], [directory],
                        MEMCACHED=larder_binary() if peer else os.path.join(directory, "none"))
        assert done.returncode == 0, done.stdout + done.stderr
        with open(report, encoding="utf-8") as file, open(calls, encoding="utf-8") as lines:
            return done.stdout, json.load(file), [json.loads(line) for line in lines]


def test_memtier_compares_medians_of_rounds_in_turns():
    # Rounds in the order larder, peer, peer, larder, larder, peer.
    results = FILLS + [(300, 1, 4), (100, 2, 2), (90, 2, 2), (330, 1, 4), (270, 1.5, 4), (110, 2.5, 2)]
    output, report, calls = run_memtier(results, "--only", ROW, "--rounds", "3")
    ports = [call["--port"] for call in calls]
    larder, peer = ports[0], ports[1]
    assert larder != peer
    assert ports == [larder, peer, larder, peer, peer, larder, larder, peer], ports

    (row,) = report["rows"]
    assert row["name"] == ROW
    ratios = row["ratios"]
    assert ratios["ops_per_s"]["ratio"] == 3.0, ratios
    assert ratios["p50_ms"] == {"ratio": 0.5, "spread": 0.5}, ratios  # 1, 1, 1.5 against 2, 2, 2.5
    assert ratios["p99_ms"] == {"ratio": 2.0, "spread": 0.0}, ratios
    assert abs(ratios["ops_per_s"]["spread"] - 0.2) < 1e-9, ratios
    assert row["runs"]["larder"][0]["hit_rate"] == 0.5
    line = next(line for line in output.splitlines() if line.startswith(ROW))
    assert re.search(r" 3\.00 \( 20%\) +0\.50 \( 50%\) +2\.00 \(  0%\)", line), line


def test_memtier_tells_its_options_to_the_benchmark():
    _, _, calls = run_memtier(FILLS + [(1, 1, 1)] * 2, "--rounds", "1", "--only", "binary, mix 1:10, pipe 16, 100 B, 32 conn, zipf")
    options = calls[-1]
    wanted = {"--protocol": "memcache_binary", "--ratio": "1:10", "--pipeline": "16", "--data-size": "100",
              "--clients": "32", "--key-pattern": "Z:Z"}
    assert {name: options[name] for name in wanted} == wanted, options
    assert calls[0]["--requests"] == calls[0]["--key-maximum"] == options["--key-maximum"], calls[0]


def test_memtier_measures_larder_alone_without_a_peer():
    output, report, _ = run_memtier([(1, 1, 1), (500, 1, 1)], "--rounds", "1", "--only", ROW, peer=False)
    assert "memcached is not in PATH: larder alone, no ratios" in output, output
    assert report["rows"][0]["ratios"] is None
    assert report["rows"][0]["sides"]["larder"]["ops_per_s"]["median"] == 500


def test_memtier_says_how_to_get_what_is_missing():
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as empty:
        done = run_tool(["memtier", "--only", ROW], [empty])
    assert done.returncode == 1
    assert "memtier_benchmark is not in PATH" in done.stderr and "github.com/RedisLabs/memtier_benchmark" in done.stderr
    output, _, _ = run_memtier(FILLS + [(1, 1, 1)] * 2, "--rounds", "1", "--only", ROW, "--chart", "unused.svg")
    assert "gnuplot is not in PATH" in output, output


def test_memtier_draws_a_chart():
    if not shutil.which("gnuplot"):
        raise Skip("gnuplot is not installed")
    memtier = load("memtier")
    figures = {figure: {"ratio": 1.5, "spread": 0.0} for figure, _ in memtier.FIGURES}
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as directory:
        for png, ending, magic in ((False, ".svg", b"<?xml"), (True, ".png", b"\x89PNG")):
            with contextlib.redirect_stdout(io.StringIO()):
                memtier.draw([{"name": ROW, "ratios": figures}], os.path.join(directory, "chart.svg"), png)
            with open(os.path.join(directory, "chart" + ending), "rb") as file:
                chart = file.read()
            assert chart.startswith(magic), chart[:80]
            assert png or b"conn, uniform" in chart


def test_memtier_names_a_row_that_is_not_there():
    done = run_tool(["memtier", "--only", "telepathy"], ["/nowhere"])
    assert done.returncode == 2 and "'telepathy'" in done.stdout, done


def test_memtier_turns_change_who_goes_first():
    memtier = load("memtier")
    assert memtier.turns(3) == [0, 1, 1, 0, 0, 1]


def test_memtier_lists_every_dimension():
    names = run_tool(["memtier", "--full", "--list"], ["/nowhere"]).stdout.splitlines()
    assert len(names) == len(set(names))
    for part in ("text,", "binary,", "gets,", "sets,", "mix 1:10,", "pipe 1,", "pipe 16,", "pipe 64,", " 32 B,", " 100 B,",
                 " 1 KiB,", " 100 KiB,", " 32 conn,", " 1000 conn,", "uniform", "gauss", "zipf", ", tls"):
        assert any(part in name for name in names), part


class FakeArguments:
    rounds, seconds, json = 3, 1, None


def test_rounds_give_ratios_of_medians_and_the_worse_spread():
    import rounds

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        comparison = rounds.Comparison((("speed", "how fast"), ("cost", "how dear"), ("other", "else")), FakeArguments)
        comparison.binaries = {"larder": "a", "memcached": "b"}
        results = {"a": iter([300, 330, 270]), "b": iter([100, 90, 110])}
        order = []

        def run(side, binary):
            order.append(side)
            return {"speed": next(results[binary]), "cost": 2 if side == "larder" else None}

        comparison.measure("row", run)
    assert order == ["larder", "memcached", "memcached", "larder", "larder", "memcached"], order
    figures = comparison.rows[0]["figures"]
    assert figures["speed"]["ratio"] == 3.0 and abs(figures["speed"]["memcached"]["spread"] - 0.2) < 1e-9, figures
    assert figures["cost"]["ratio"] is None and figures["cost"]["memcached"] is None, figures
    text = output.getvalue()
    assert re.search(r"how fast +larder +300.00 +memcached +100.00 +ratio +3.00 \( 20%\)", text), text
    assert re.search(r"how dear +larder +2.00 +memcached +-$", text, re.MULTILINE), text
    assert "else" not in text, text


def run_against_itself(*arguments, name_of_row, figures):
    """Runs a tool with larder in both parts; the figures of this row must be there, above 0 and finite."""
    load_binary = os.path.join(os.path.dirname(larder_binary()), "larder-load")
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as directory:
        report = os.path.join(directory, "report.json")
        done = run_tool([*arguments, "--rounds", "1", "--seconds", "0.2", "--json", report],
                        os.environ["PATH"].split(os.pathsep), MEMCACHED=larder_binary(), LARDER=larder_binary(),
                        LARDER_LOAD=load_binary)
        assert done.returncode == 0, done.stdout + done.stderr
        with open(report, encoding="utf-8") as file:
            rows = {row["name"]: row for row in json.load(file)["rows"]}
    for figure in figures:
        for side in ("larder", "memcached"):
            value = rows[name_of_row]["figures"][figure][side]["median"]
            assert 0 < value < 1e9, (name_of_row, figure, side, value)
    return rows


def test_connections_are_stormed_idle_and_busy():
    rows = run_against_itself("connections", "--storm", "50", "--idle", "200", "--busy", "20",
                              name_of_row="storm of 50 connections", figures=("all_ms", "p50_ms", "p99_ms", "cpu_us"))
    assert rows["storm of 50 connections"]["figures"]["broken"]["larder"]["median"] == 0, rows
    assert rows["20 busy connections"]["figures"]["ops_per_s"]["ratio"] > 0, rows
    assert "idle_bytes" in rows["200 idle connections"]["figures"], rows


def test_fairness_is_measured_beside_a_greedy_client():
    rows = run_against_itself("fairness", name_of_row="beside 1 greedy clients",
                              figures=("p50_ms", "p99_ms", "max_ms", "greedy_per_s"))
    assert rows["beside 0 greedy clients"]["figures"]["greedy_per_s"]["larder"] is None, rows


def test_workers_are_compared_with_one():
    rows = run_against_itself("workers", "--threads", "1,2", "--processors", "1",
                              name_of_row="get, 32 connections, pipeline 16, -t 2", figures=("ops_per_s", "cpu_us", "p99_us"))
    assert len(rows) == 6, rows


def test_tls_is_measured_with_both_versions():
    if not servers.has_tls(larder_binary()) or not shutil.which("openssl"):
        raise Skip("larder was built without TLS, or openssl is not installed")
    rows = run_against_itself("tls", "--clients", "1", name_of_row="TLS 1.3, full handshakes", figures=("per_s", "cpu_us"))
    for version in ("TLS 1.2", "TLS 1.3"):
        for kind, part in (("full", 0.0), ("resumed", 1.0)):
            figures = rows[f"{version}, {kind} handshakes"]["figures"]
            assert figures["resumed"]["larder"]["median"] == part, figures
    assert rows["gets over TLS, 32 connections, pipeline 16"]["figures"]["request_us"]["ratio"] > 0, rows


def test_the_workloads_get_the_replies_that_they_expect():
    import workloads

    with Server(["-t", "1", "-m", "64"]) as server:
        with server.client() as client:
            workloads.fill(client.socket)
        for workload in workloads.TRAINED:
            with server.client() as client:  # the first byte decides for the protocol of a connection
                assert workloads.drive(client.socket, workload, 32) == 32


def test_counts_are_read_as_they_were_written():
    count = load("count")
    made_for, figures = {"compiler": "GCC: 12", "flags": "-g -O2"}, {"get": 1785.5, "get of 16 keys": 650.4}
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as directory:
        path = os.path.join(directory, "counts.txt")
        count.write_counts(path, made_for, figures)
        assert count.read_counts(path) == (made_for, figures)
        assert count.read_counts(path + ".none") == ({}, {})


def test_counts_of_one_thread_leave_out_what_it_calls():
    count = load("count")
    dump = "thread: 3\nfn=(1) session_run\n12 100\ncfn=(2) cache_find\ncalls=5 40\n13 9000\n+1 11\n\nfn=(2)\n40 7\n* 2\n"
    with tempfile.NamedTemporaryFile("w", suffix=".dump") as file:
        file.write(dump)
        file.flush()
        assert count.thread_costs(file.name) == {"session_run": 111, "cache_find": 9}


def test_counts_by_layer_go_where_the_code_is_written():
    count = load("count")
    with tempfile.NamedTemporaryFile("w", suffix=".out") as file:
        file.write("fl=(1) /src/server/net/conn.c\nfn=(1) conn_turn\n10 100\nfi=(2) /src/server/session/session_priv.h\n11 7\n")
        file.write("fe=(1)\n12 5\ncfi=(3) /usr/lib/malloc.c\ncfn=(2) malloc\ncalls=1 20\n13 900\n14 1\n")
        file.write("fl=(3)\nfn=(2)\n20 30\nfl=(4) proto/text_parse.c\nfn=(3) text_parse\n+1 40\n")
        file.flush()
        assert count.thread_layers(file.name) == {"net": 106, "session": 7, "libraries": 30, "proto": 40}


def check_counts(before, *measured, made_for=None, calls=None):
    """Runs `bench/count --check` with these figures in place of the file's and of valgrind's."""
    count = load("count")
    runs = iter(measured)
    here = {"compiler": "GCC: 12"}
    count.shutil.which = lambda name: name
    count.conditions = lambda binary, flags: here
    count.read_counts = lambda path: (made_for or here, before)
    count.calls_program = lambda: sys.executable  # is there, and is not run
    count.count_calls = lambda _: {name: count.collections.Counter(all=figure) for name, figure in (calls or {}).items()}
    count.count = lambda binary, _: {name: count.collections.Counter(all=figure) for name, figure in next(runs).items()}
    arguments, sys.argv = sys.argv, ["count", "--check"]
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            count.main()
    except SystemExit as end:
        return end.code, output.getvalue()
    finally:
        sys.argv = arguments
    return 0, output.getvalue()


def test_count_fails_when_an_operation_grows():
    code, output = check_counts({"get": 1000.0, "set": 2000.0}, *[{"get": 1031.0, "set": 2000.0}] * 2)
    assert code == 1 and "above bench/counts.txt, or not in it: get\n" in output, output
    code, output = check_counts({"get": 1000.0}, {"get": 1030.0})
    assert code == 0, output


def test_count_looks_twice_before_it_fails():
    code, output = check_counts({"get": 1000.0}, {"get": 1040.0}, {"get": 1002.0})
    assert code == 0, output


def test_count_fails_when_the_file_lacks_a_figure():
    code, output = check_counts({"get": 1000.0}, {"get": 1000.0, "set": 1.0})
    assert code == 1 and "set" in output, output


def test_count_fails_when_a_call_of_the_library_grows():
    code, output = check_counts({"get": 1.0, "larder_get": 400.0}, *[{"get": 1.0}] * 2, calls={"larder_get": 413.0})
    assert code == 1 and "above bench/counts.txt, or not in it: larder_get\n" in output, output
    code, output = check_counts({"get": 1.0, "larder_get": 400.0}, {"get": 1.0}, calls={"larder_get": 411.0})
    assert code == 0, output


def test_count_counts_each_call_of_the_library():
    if not shutil.which("valgrind"):
        raise Skip("valgrind is not installed")
    count = load("count")
    if not os.access(count.calls_program(), os.X_OK):
        raise Skip("build/release/bench/embed/calls is not built")
    count.CALLS_KEYS = 320
    figures = count.figures_of(count.count_calls(count.calls_program()))
    assert len(figures) == len(count.CALLS) and all(100 < figure < 5000 for figure in figures.values()), figures


def test_count_skips_what_cannot_be_compared():
    code, output = check_counts({"get": 1000.0}, made_for={"compiler": "clang 14"})
    assert code == 77 and output == "skipped: bench/counts.txt holds for another build: compiler is 'GCC: 12', not 'clang 14'\n"
    done = run_tool(["count", "--check"], ["/nowhere"])
    assert done.returncode == 77 and "valgrind is not installed" in done.stdout, done


def run_library(*arguments, peer=True):
    """Runs bench/library without valgrind on a few items; gives what it printed, and its JSON."""
    stores = os.environ.get("STORES") or os.path.join(ROOT, "build", "release", "bench", "embed")
    if not os.path.exists(os.path.join(stores, "larder")):
        raise Skip("the programs of bench/library are not built: make programs")
    with tempfile.TemporaryDirectory(prefix="larder-bench-") as directory:
        report = os.path.join(directory, "report.json")
        done = run_tool(["library", "--items", "3000", "--seconds", "0.01", "--json", report, *arguments], [directory],
                        STORES=stores, MEMCACHED=(peer and shutil.which("memcached")) or os.path.join(directory, "none"))
        assert done.returncode == 0, done.stdout + done.stderr
        with open(report, encoding="utf-8") as file:
            return done.stdout, json.load(file)


def test_library_compares_medians_of_every_row():
    output, report = run_library("--rounds", "3", "--threads", "2")
    names = [row["name"] for row in report["rows"]]
    assert names == [f"{operation}, {keys}, 3k items, 2 threads" for keys in ("uniform", "zipf:0.99")
                     for operation in ("get", "get of 16", "set")], names
    for row in report["rows"]:
        figures = row["ns_per_key"]
        assert all(len(figure["rounds"]) == 3 and figure["median"] == sorted(figure["rounds"])[1]
                   for figure in figures.values()), row
        line = next(line for line in output.splitlines() if line.startswith(row["name"] + " "))
        ratios = [float(ratio) for ratio in re.findall(r" ([0-9.]+)x", line)]
        assert len(ratios) == len(figures) - 1, line
        for ratio, name in zip(ratios, list(figures)[1:]):
            exact = figures[name]["median"] / figures["larder"]["median"]
            assert abs(ratio - exact) <= (0.006 if exact < 10 else 0.51), (line, exact)
    (size,) = report["sizes"]
    assert size["items"] == 3000 and size["bytes_per_item"]["larder"] > 0, size
    assert "instructions are not counted: install valgrind" in output


def test_library_says_what_it_leaves_out():
    output, report = run_library("--rounds", "1", "--threads", "1", "--only", "set, uniform", peer=False)
    assert "memcached is not measured: it is not in PATH" in output, output
    assert [row["name"] for row in report["rows"]] == ["set, uniform, 3k items, 1 thread"]
    assert "memcached" not in report["rows"][0]["ns_per_key"]


def test_library_takes_turns_forwards_and_backwards():
    assert load("library").turns(["a", "b", "c"], 3) == ["a", "b", "c", "c", "b", "a", "a", "b", "c"]


def test_a_lost_item_ends_the_measurement():
    stores = os.environ.get("STORES") or os.path.join(ROOT, "build", "release", "bench", "embed")
    if not os.path.exists(os.path.join(stores, "larder")):
        raise Skip("the programs of bench/library are not built: make programs")
    done = subprocess.run([os.path.join(stores, "larder"), "100", "100"], input="run get uniform 1 0.01\n",
                          capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 1 and "is lost or wrong" in done.stderr, done


def test_atomics_of_one_thread_leave_out_what_it_calls():
    count = load("count")
    with tempfile.TemporaryDirectory() as directory:
        write_program(directory, "objdump", "#!/bin/sh\nprintf '    10:\\tlock xadd %%eax,(%%rdi)\\n    14:\\tmov %%eax,%%ebx\\n"
                      "    18:\\txchg %%eax,(%%rdi)\\n    1a:\\txchg %%ax,%%ax\\n'\n")
        dump = os.path.join(directory, "dump")
        with open(dump, "w", encoding="utf-8") as file:
            file.write("positions: instr\nob=/code\nfn=set\n0x10 3\n0x14 5\n0x1a 7\ncalls=1 0x18\n0x10 100\nfn=unlock\n0x18 2\n")
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{directory}{os.pathsep}{path}"
        try:
            costs, total = count.thread_atomics(dump)
        finally:
            os.environ["PATH"] = path
    assert costs == {"set": 3, "unlock": 2} and total == 17, (costs, total)


def test_expire_has_an_oracle_that_evicts_only_without_a_free_place():
    oracle = load("expire").Oracle(100)
    for _ in range(4):  # the cache is full: each takes another one's place
        oracle.store(10, 2)
    assert oracle.evictions == 4
    for _ in range(4):
        oracle.store(12, 0)  # the places of those that have expired
    assert oracle.evictions == 4
    oracle.store(12, 0)
    assert oracle.evictions == 5


def test_stall_merges_rounds_and_keeps_the_longest_wait():
    merge = load("stall").merge
    parts = [{op: {"p50_us": p50, "p99_us": 5.0, "p999_us": 6.0, "max_us": longest} for op in ("get", "set")}
             for p50, longest in ((1.0, 9.0), (3.0, 70.0), (2.0, 8.0))]
    assert merge(parts)["set"] == {"p50_us": 2.0, "p99_us": 5.0, "p999_us": 6.0, "max_us": 70.0}


def test_stall_probes_a_server_by_its_events():
    stall = load("stall")
    if not os.access(stall.LOAD, os.X_OK):
        raise Skip("build/larder-load is not there: make bench-load")
    size = stall.Size(False)
    size.run_s = 0.5
    size.items = 20000
    for event in ("idle", "dump", "limit"):
        waits, floor = stall.EVENTS[event](larder_binary(), size)
        for side in (waits, floor):
            assert all(0 < side[op]["p50_us"] <= side[op]["max_us"] for op in ("get", "set")), (event, side)


if __name__ == "__main__":
    run_tests(globals())
