"""Keeps cmd/serve under half its highest rate for minutes, while its run is replaced every few seconds, every fourth time by a broken one. soak.sh starts it.

Usage: soak.py --serve bin/serve --vegeta bin/vegeta --runs runs/A,runs/B --rows FILE [--minutes 10] [--every 5] [--rate 0]

The runs are of one config and other seeds. rate 0: half of what vegeta reaches with 8 clients in 10 s. No request may fail, each good run must be served, each
broken one refused, and the memory of the last third may not be a fifth above that of the second one. Prints what was measured; the exit code is 1
if something of this is not so.
"""
import argparse
import base64
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from bench import bodies

MODEL = "model.safetensors"


def metric(url, name):
    with urllib.request.urlopen(url + "/metrics") as r:
        return sum(float(v) for v in re.findall(rf"^{name} (\S+)$", r.read().decode(), re.M))


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1)) / 1024


def put(source, path, cut=None):
    """Replaces a file as commands do: it appears whole."""
    with open(source, "rb") as f:
        text = f.read()
    with open(path + ".new", "wb") as f:
        f.write(text[:cut])
    os.replace(path + ".new", path)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("serve", "vegeta", "runs", "rows"):
        p.add_argument("--" + name, required=True)
    for name, default in {"minutes": 10.0, "every": 5.0, "rate": 0.0}.items():
        p.add_argument("--" + name, type=float, default=default)
    o = p.parse_args()
    runs = o.runs.split(",")
    url = "http://127.0.0.1:18490"
    with tempfile.TemporaryDirectory() as tmp:
        run, targets = os.path.join(tmp, "run"), os.path.join(tmp, "targets")
        shutil.copytree(runs[0], run, ignore=shutil.ignore_patterns("last", "events*"))
        with open(targets, "w") as f:
            for b in bodies(o.rows, 1):
                f.write(json.dumps({"method": "POST", "url": url + "/v1/score", "body": base64.b64encode(b.encode()).decode()}) + "\n")
        server = subprocess.Popen([o.serve, "--run", "m=" + run, "--listen", url[7:], "--poll", "1s", "--quiet"], stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    urllib.request.urlopen(url + "/v2/health/ready").read()
                    break
                except OSError:
                    if server.poll() is not None:
                        sys.exit("the server does not start")
                    time.sleep(0.01)

            def attack(seconds, *how):
                out = os.path.join(tmp, "results")
                return out, subprocess.Popen([o.vegeta, "attack", "-format=json", "-targets", targets, "-duration", f"{seconds}s", "-output", out, *how])

            def report(out):
                return json.loads(subprocess.check_output([o.vegeta, "report", "-type=json", out]))

            rate = o.rate
            if not rate:
                out, process = attack(10, "-rate=0", "-max-workers=8", "-workers=8")
                process.wait()
                rate = report(out)["throughput"] / 2
            out, process = attack(o.minutes * 60, f"-rate={max(1, round(rate))}/s")
            began, n, good, broken, memory = time.time(), 0, 0, 0, []
            while process.poll() is None:
                time.sleep(o.every)
                memory.append(resident(server.pid))
                if time.time() - began > o.minutes * 60 - 2 * o.every:
                    continue
                n += 1
                if n % 4 == 0:
                    put(os.path.join(runs[good % len(runs)], MODEL), os.path.join(run, MODEL), -100)
                    broken += 1
                else:
                    good += 1
                    put(os.path.join(runs[good % len(runs)], MODEL), os.path.join(run, MODEL))
            done = metric(url, r'splice_reloads_total\{model="m",result="done"\}')
            refused = metric(url, r'splice_reloads_total\{model="m",result="refused"\}')
            panics = metric(url, "splice_panics_total")
            r = report(out)
        finally:
            server.terminate()
            code = server.wait()
    third = max(1, len(memory) // 3)
    second, last = statistics.mean(memory[third:2 * third] or memory), statistics.mean(memory[-third:])
    print(f"{r['requests']} requests at {r['rate']:.0f}/s for {r['duration'] / 1e9:.0f} s: {100 * r['success']:.4f} % succeeded, statuses {r['status_codes']}, errors {r['errors'][:3]}")
    print("latency ms: " + ", ".join(f"{k} {r['latencies'][k] / 1e6:.2f}" for k in ("50th", "95th", "99th", "max")))
    print(f"{good} good runs put in place, {done:.0f} taken over; {broken} broken ones, {refused:.0f} refused; {panics:.0f} defects; exit code {code}")
    print(f"memory MB: {memory[0]:.0f} at first, {second:.0f} in the second third, {last:.0f} in the last")
    ok = r["success"] == 1 and done == good and refused == broken and panics == 0 and code == 0 and last < 1.2 * second
    print("ok" if ok else "NOT OK")
    return not ok


if __name__ == "__main__":
    sys.exit(main())
