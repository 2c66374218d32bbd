"""The circuits of bench/quantum-methods.ts on Qiskit Aer. Reads [{name, qasm, method, shots, runs}], writes {name: ms} of the fastest run."""

import json
import sys
import time

from qiskit import qasm2
from qiskit_aer import AerSimulator

times = {}
for case in json.load(sys.stdin):
    circuit = qasm2.loads(case["qasm"])
    simulator = AerSimulator(method=case["method"])
    best = float("inf")
    for seed in range(case["runs"]):
        began = time.perf_counter()
        simulator.run(circuit, shots=case["shots"], seed_simulator=seed).result().get_counts()
        best = min(best, time.perf_counter() - began)
    times[case["name"]] = 1000 * best
json.dump(times, sys.stdout)
