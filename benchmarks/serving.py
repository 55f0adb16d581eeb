"""Requests a second of `tfx-gan serve`, beside the same generator called in this process.

  python benchmarks/serving.py runs/fashion-mnist/serving
  python benchmarks/serving.py runs/fashion-mnist/serving --soak 100000

Each request asks for one image of a seed of its own. Rounds go through all ways in turn, so that
what else the machine does strikes all of them. Clients of the server are connections of wrk, to be
installed first; clients in the process are threads, which call the signature `sample` of the
SavedModel, or its ONNX file, with one row each. All ways share the processors with their clients.
"""

import argparse
import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np

SCRIPT = """
local bodies = {{ {bodies} }}
local count = 0
function request()
  count = count + 1
  local body = string.gsub(bodies[count % #bodies + 1], "SEED", tostring(count))
  return wrk.format("POST", "/v1/models/generator:predict", {{["Accept"] = "{accept}"}}, body)
end
function done(summary, latency)
  io.write(string.format("RESULT %d %d %f %f %f %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(95), latency:percentile(99),
    summary.errors.status + summary.errors.read + summary.errors.timeout + summary.errors.connect))
end
"""
SAMPLE = '{"signature_name": "sample", "instances": [SEED]}'
PNG = '{"signature_name": "sample_png", "instances": [SEED]}'
MIXED = [
    SAMPLE,
    PNG,
    '{"signature_name": "sample", "inputs": [SEED, 1, 2, 3]}',
    '{"signature_name": "sample_truncated", "inputs": {"seeds": [SEED], "truncation": [0.7]}}',
    # Refused, by the model and by the server.
    '{"signature_name": "sample_truncated", "inputs": {"seeds": [SEED], "truncation": [7]}}',
    '{"signature_name": "sample", "instances": [SEED',
]
REFUSED = 2 / len(MIXED)


def wrk(url, clients, seconds, bodies, accept="application/json"):
    """Requests a second, milliseconds of p50, p95 and p99, and the share of errors."""
    quoted = ", ".join(f"[[{body}]]" for body in bodies)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(bodies=quoted, accept=accept))
        script.flush()
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", script.name, url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (.*)", output)
    if not found:
        sys.exit(output)
    requests, duration, *latencies, errors = map(float, found[1].split())
    return requests / duration * 1e6, [each / 1000 for each in latencies], errors / requests


def in_process(call, clients, seconds):
    """As `wrk`, of a function of one seed."""
    latencies = []
    end = time.perf_counter() + seconds

    def client(number):
        seed, mine = number << 32, []
        while (start := time.perf_counter()) < end:
            call(seed)
            mine.append(time.perf_counter() - start)
            seed += 1
        latencies.extend(mine)

    threads = [threading.Thread(target=client, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(latencies) / seconds, (np.percentile(latencies, [50, 95, 99]) * 1000).tolist(), 0.0


def ways(folder, url, scratch):
    """Functions of clients and seconds, by name."""
    import onnxruntime
    import tensorflow as tf

    from components.serving import Generator, conversion

    generator = Generator.load(folder)
    file = str(Path(scratch, "sample.onnx"))
    conversion.export(Generator(folder), "onnx", "sample", file)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    sample = tf.saved_model.load(generator.path).signatures["sample"]
    return {
        "SavedModel in the process": lambda *args: in_process(
            lambda seed: sample(seeds=tf.constant([seed], tf.int64))["images"].numpy(), *args
        ),
        "ONNX in the process": lambda *args: in_process(
            lambda seed: session.run(None, {"seeds": np.array([seed], np.int64)}), *args
        ),
        "`tfx-gan serve`, JSON": lambda *args: wrk(url, *args, [SAMPLE]),
        "`tfx-gan serve`, PNG": lambda *args: wrk(url, *args, [PNG], "image/png"),
    }


def load(folder, url, rounds, seconds):
    with tempfile.TemporaryDirectory() as scratch:
        functions = ways(folder, url, scratch)
        found = {}
        for function in functions.values():
            function(8, 1)
        for clients in (1, 8, 64):
            for _ in range(rounds):
                for name, function in functions.items():
                    result = function(clients, seconds)
                    if result[2]:
                        sys.exit(f"{name}: errors: {result[2]}")
                    found.setdefault((clients, name), []).append(result)
    print("| clients | | requests/s | p50, p95, p99 in ms | of the SavedModel's rate |")
    print("|---|---|---|---|---|")
    base = next(iter(functions))
    for (clients, name), results in found.items():
        rates = [rate for rate, _, _ in results]
        ratios = [
            rate / other for rate, (other, _, _) in zip(rates, found[clients, base], strict=True)
        ]
        latencies = [statistics.median(each) for each in zip(*[r[1] for r in results], strict=True)]
        print(
            f"| {clients} | {name} | {statistics.median(rates):.0f} "
            f"({min(rates):.0f}–{max(rates):.0f}) | {', '.join(f'{ms:.1f}' for ms in latencies)} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |"
        )


def answered(url):
    with urllib.request.urlopen(f"{url}/metrics") as page:
        text = page.read().decode()
    counts = re.findall(r'requests_total{method="predict",status="(\d+)"} (\S+)', text)
    return {status: int(float(count)) for status, count in counts}


def memory(process):
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def soak(url, process, count):
    start, marks = time.perf_counter(), [0.0, 0.1, 0.25, 0.5, 0.75, 1.0]
    # The first calls allocate.
    wrk(url, 64, 5, MIXED)
    before = sum(answered(url).values())
    while marks:
        done = sum(answered(url).values()) - before
        while marks and done >= marks[0] * count:
            print(f"{marks.pop(0):4.0%} {done} requests {memory(process):.0f} MB", flush=True)
        if marks:
            errors = wrk(url, 64, 5, MIXED)[2]
            if abs(errors - REFUSED) > 0.02:
                sys.exit(f"errors: {errors:.3f}, expected {REFUSED:.3f}")
    print(f"{time.perf_counter() - start:.0f} s, answers by status: {answered(url)}")


@contextlib.contextmanager
def server(folder):
    command = [sys.executable, "-m", "pipeline.cli", "serve", folder, "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if line.startswith("http"):
                yield line.split("/v1")[0], process
                break
        else:
            sys.exit("the server did not start")
    finally:
        process.terminate()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="serving folder of an unconditional generator of images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each way in each round")
    parser.add_argument("--soak", type=int, metavar="COUNT", help="requests, for memory, instead")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("needs wrk: apt-get install wrk")
    with server(options.folder) as (url, process):
        if options.soak:
            soak(url, process, options.soak)
        else:
            load(options.folder, url, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
