"""Rate and latency of cmd/serve, and of FastAPI with PyTorch or ONNX Runtime on the same run, under wrk. bench.sh starts it.

Usage: bench.py --serve bin/serve --run runs/NAME --rows FILE [--python PYTHON] [--servers splice,torch,onnx] [--clients 1,8,64] [--request-rows 1] [--seconds 10] [--rounds 3]

FILE has lines of Criteo's layout, of which requests are made. The servers take turns: in each round, each one is measured with each number of clients. Printed are the
medians over the rounds, with the least and the most rate. wrk sends the next request of a connection when it has the answer to the one before. It
shares the machine with the server. Before, all servers must give the same scores to 1e-4.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

PORT = 18480


def bodies(path, n, count=256):
    rows = []
    with open(path) as f:
        for line in f:
            cells = line.rstrip("\n").split("\t")[1:]
            row = {f"I{i + 1}": float(c) if c else None for i, c in enumerate(cells[:13])}
            row.update({f"C{i + 1}": c for i, c in enumerate(cells[13:])})
            rows.append(row)
            if len(rows) == n * count:
                break
    return [json.dumps({"rows": rows[i:i + n]}) for i in range(0, len(rows) - n + 1, n)]


def lua(bodies, path):
    with open(path, "w") as f:
        f.write("local bodies = {\n" + "".join("[==[" + b + "]==],\n" for b in bodies) + "}\nlocal n = 0\n")
        f.write('local headers = {["Content-Type"] = "application/json"}\n')
        f.write('request = function() n = n % #bodies + 1; return wrk.format("POST", "/v1/score", headers, bodies[n]) end\n')
        f.write('done = function(s, l, r) io.write(string.format("RESULT %f %f %f %d\\n", s.requests / s.duration * 1e6, l:percentile(50) / 1e3, '
                'l:percentile(99) / 1e3, s.errors.connect + s.errors.read + s.errors.write + s.errors.timeout + s.errors.status)) end\n')


class Server:
    def __init__(self, kind, o, port):
        self.kind, self.url = kind, f"http://127.0.0.1:{port}"
        env = dict(os.environ, SERVE_RUN=os.path.abspath(o.run), SERVE_KIND=kind, SERVE_THREADS="1", OMP_NUM_THREADS="1")
        if kind == "splice":
            args = [o.serve, "--run", o.run, "--listen", f"127.0.0.1:{port}", "--quiet"]
        else:
            args = [o.python, "-m", "uvicorn", "--app-dir", os.path.dirname(os.path.abspath(__file__)), "peers:app", "--port", str(port),
                    "--workers", str(o.workers), "--no-access-log", "--log-level", "warning"]
        began = time.perf_counter()
        self.process = subprocess.Popen(args, env=env)
        while True:
            try:
                urllib.request.urlopen(self.url + "/v2/health/ready").read()
                break
            except OSError:
                if self.process.poll() is not None or time.perf_counter() - began > 180:
                    sys.exit(f"{kind} does not start")
                time.sleep(0.002)
        self.started = time.perf_counter() - began

    def score(self, body):
        with urllib.request.urlopen(self.url + "/v1/score", body.encode()) as r:
            return json.load(r)["scores"]

    def load(self, script, clients, seconds):
        out = subprocess.run(["wrk", "-t", str(min(clients, 2)), "-c", str(clients), "-d", f"{seconds}s", "--timeout", "10s", "-s", script, self.url],
                             capture_output=True, text=True)
        found = re.search(r"RESULT (\S+) (\S+) (\S+) (\d+)", out.stdout)
        if not found:
            sys.exit(f"wrk: {out.stdout}{out.stderr}")
        return [float(x) for x in found.groups()]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"serve": "bin/serve", "run": None, "rows": None, "python": sys.executable, "servers": "splice,torch,onnx", "clients": "1,8,64"}.items():
        p.add_argument("--" + name, default=default, required=default is None)
    for name, default in {"request-rows": 1, "seconds": 10, "rounds": 3, "workers": len(os.sched_getaffinity(0))}.items():
        p.add_argument("--" + name, type=int, default=default)
    o = p.parse_args()
    clients = [int(c) for c in o.clients.split(",")]
    requests = bodies(o.rows, o.request_rows)
    with tempfile.TemporaryDirectory() as tmp:
        script = os.path.join(tmp, "rows.lua")
        lua(requests, script)
        kinds = o.servers.split(",")
        results = {}
        want = None
        started = {k: [] for k in kinds}
        for _ in range(o.rounds):
            for i, kind in enumerate(kinds):
                s = Server(kind, o, PORT + i)
                try:
                    started[kind].append(s.started)
                    got = [x for b in requests[:20] for x in s.score(b)]
                    want = want or got
                    worst = max(abs(a - b) for a, b in zip(got, want))
                    if worst > 1e-4 or len(got) != len(want):
                        sys.exit(f"{kind} gives other scores than {kinds[0]}, by {worst:g}")
                    s.load(script, max(clients), 1)  # warms up
                    for c in clients:
                        results.setdefault((kind, c), []).append(s.load(script, c, o.seconds))
                finally:
                    s.stop()
        print(f"{o.request_rows} rows a request, {o.rounds} rounds of {o.seconds} s, {o.workers} workers of uvicorn, {len(os.sched_getaffinity(0))} processors")
        print("| server | clients | requests/s | least to most | p50 ms | p99 ms | errors |\n|---|---|---|---|---|---|---|")
        for (kind, c), rounds in sorted(results.items(), key=lambda r: (clients.index(r[0][1]), kinds.index(r[0][0]))):
            rate, p50, p99, errors = zip(*rounds)
            print(f"| {kind} | {c} | {statistics.median(rate):.0f} | {min(rate):.0f} to {max(rate):.0f} | {statistics.median(p50):.2f} | {statistics.median(p99):.2f} | {sum(errors):.0f} |")
        for kind in kinds:
            print(f"{kind}: ready {statistics.median(started[kind]) * 1e3:.0f} ms after its start")


if __name__ == "__main__":
    main()
