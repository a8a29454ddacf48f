"""Times the arithmetic of a mini-batch beside PyTorch's BatchNorm1d and River's scaler, one thread each.

Every case is measured by both, one right after the other, in every round: KernelBenchmark (Swift)
in a process that waits meanwhile, PyTorch in this one. Neither is charged for its input: ours is
normalised in place, PyTorch gets the same tensor again and makes a new one, as it does in a model.
A repetition lasts about 20 ms, and the fastest of five is taken; then the median over the rounds.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from river import preprocessing

import verdicts
from candidates import machine_facts

RECORDS = [256, 4096]
FEATURES = [32, 256]
REPETITION_SECONDS = 0.02
REPETITIONS = 5
BYTES_PER_VALUE = 4 + 4


class Ours:
    """The Swift side: a case goes in, nanoseconds per value come out."""

    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def measure(self, *case):
        self.process.stdin.write(" ".join(map(str, case)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.process.args[0]} ended with {self.process.wait()}")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            sys.exit(f"{self.process.args[0]} ended with {self.process.returncode}")


def measure_torch(mode, records, features):
    """Nanoseconds per value of the layer, in training (`batch`) or evaluation (`running`)."""
    layer = torch.nn.BatchNorm1d(features)
    layer.train(mode == "batch")
    values = torch.randn(records, features)
    with torch.inference_mode():

        def seconds(calls):
            start = time.perf_counter()
            for _ in range(calls):
                layer(values)
            return time.perf_counter() - start

        seconds(10)
        calls = max(1, int(REPETITION_SECONDS / (seconds(10) / 10)))
        fastest = min(seconds(calls) for _ in range(REPETITIONS)) / calls
    return fastest * 1e9 / values.numel()


def measure_river(features):
    """Nanoseconds per value of a scaler that is updated record by record; reading them is not counted."""
    rows = torch.randn(2000, features).tolist()
    records = [{f"f{index}": value for index, value in enumerate(row)} for row in rows]
    scaler = preprocessing.AdaptiveStandardScaler(fading_factor=0.1)
    start = time.perf_counter()
    for record in records:
        scaler.learn_one(record)
        scaler.transform_one(record)
    return (time.perf_counter() - start) * 1e9 / (len(records) * features)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", type=Path, required=True, help="the binary KernelBenchmark")
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two rounds")
    verdicts.add_option(parser)
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else arguments.rounds
    torch.set_num_threads(1)
    cases = [(mode, m, d) for mode in ["batch", "running"] for d in FEATURES for m in RECORDS]
    ours = {case: [] for case in cases}
    theirs = {case: [] for case in cases}
    passes = {case: [] for case in cases}
    memory, calls, river = [], [], []
    process = Ours(arguments.benchmark.resolve())
    for _ in range(rounds):
        for case in cases:
            ours[case].append(process.measure(*case))
            theirs[case].append(measure_torch(*case))
            passes[case].append(process.measure("pass", *case[1:]))
        memory.append(process.measure("memory"))
        calls.append(measure_torch("running", 2, 1) * 2)
        river.append(measure_river(32))
    process.close()

    median = statistics.median
    capability = torch.backends.cpu.get_cpu_capability()
    print(machine_facts(arguments.evenkeel.resolve(), f"torch {torch.__version__} ({capability})"))
    print(f"\n## Kernels: float32 columns, one thread, median of {rounds} rounds\n")
    print("| mode | records | features | ns/value | PyTorch's | GB/s | of a pass in cache | of memory |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    results = []
    for case in cases:
        mode, records, features = case
        mine = median(ours[case])
        print(
            f"| {mode} | {records:,} | {features} | {mine:.3f} | {median(theirs[case]):.3f} "
            f"| {BYTES_PER_VALUE / mine:.1f} | {median(passes[case]) / mine:.0%} "
            f"| {median(memory) / mine:.0%} |"
        )
        ratios = [a / b for a, b in zip(ours[case], theirs[case], strict=True)]
        layer = "train" if mode == "batch" else "eval"
        subject = f"{mode}, {records:,} × {features}, time against BatchNorm1d, {layer}"
        results.append(verdicts.Verdict(subject, 1, ratios))
    ratios = [a / b for a, b in zip(ours["batch", 256, 32], river, strict=True)]
    results.append(verdicts.Verdict("batch, 256 × 32, time against River's scaler", 0.01, ratios))
    print(
        f"\nEach value is read and written once at least; that alone, in place, goes at "
        f"{BYTES_PER_VALUE / median(memory):.1f} GB/s in memory. Of PyTorch's time a call from "
        f"Python, with 2 values, takes {median(calls) / 1e3:.1f} µs. River's scaler takes "
        f"{median(river):.0f} ns/value."
    )
    print()
    verdicts.conclude(results, arguments.strict)


if __name__ == "__main__":
    main()
