"""Times Qiskit Aer or qsim. Reads JSON from its standard input: {"simulator", "qubits", "precision", "shots", "rounds", "gates"}, gates as
["u", qubit, theta, phi, lambda] or ["x", control, target]. Prints {"version", "seconds"}: the fewest seconds of the rounds, with one thread or two."""

import json
import sys
import time


def aer(request):
    import qiskit_aer
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(request["qubits"])
    for name, *rest in request["gates"]:
        if name == "u":
            circuit.u(*rest[1:], rest[0])
        else:
            circuit.cx(*rest)
    circuit.measure_all()

    def runner(threads):
        simulator = qiskit_aer.AerSimulator(
            method="statevector", precision=request["precision"], max_parallel_threads=threads
        )
        # What the simulator itself says that it took, without the conversions of Python.
        return lambda: simulator.run(circuit, shots=request["shots"]).result().results[0].time_taken

    return qiskit_aer.__version__, runner


def qsim(request):
    import cirq
    import numpy
    import qsimcirq

    qubits = cirq.LineQubit.range(request["qubits"])
    circuit = cirq.Circuit()
    for name, *rest in request["gates"]:
        if name == "u":
            qubit, theta, phi, lam = rest
            cos, sin = numpy.cos(theta / 2), numpy.sin(theta / 2)
            matrix = [
                [cos, -numpy.exp(1j * lam) * sin],
                [numpy.exp(1j * phi) * sin, numpy.exp(1j * (phi + lam)) * cos],
            ]
            circuit.append(cirq.MatrixGate(numpy.array(matrix))(qubits[qubit]))
        else:
            circuit.append(cirq.CNOT(qubits[rest[0]], qubits[rest[1]]))
    circuit.append(cirq.measure(*qubits, key="m"))

    def runner(threads):
        simulator = qsimcirq.QSimSimulator(qsimcirq.QSimOptions(cpu_threads=threads, max_fused_gate_size=4))

        def run():
            begin = time.perf_counter()
            simulator.run(circuit, repetitions=request["shots"])
            return time.perf_counter() - begin

        return run

    return qsimcirq.__version__, runner


request = json.load(sys.stdin)
version, runner = {"aer": aer, "qsim": qsim}[request["simulator"]](request)
best = float("inf")
for threads in (2, 1):
    run = runner(threads)
    for _ in range(request["rounds"]):
        best = min(best, run())
print(json.dumps({"version": version, "seconds": best}))
