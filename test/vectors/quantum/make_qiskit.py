"""Makes qiskit.json: programs as Qiskit writes them, with the states and probabilities that Qiskit finds.

    pip install qiskit==2.6.2 qiskit-aer==0.18.2 && python make_qiskit.py

With numbers, such as `make_qiskit.py 2000 /tmp/random.jsonl`, it writes that many random circuits instead, for JSONFLOW_QISKIT.
"""
import inspect
import json
import sys

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm2, qasm3, transpile
from qiskit.circuit import Parameter, library as lib
from qiskit.circuit.classical import expr
from qiskit.quantum_info import Statevector
from qiskit_aer import AerSimulator

GATES = [
    lib.HGate, lib.XGate, lib.YGate, lib.ZGate, lib.SGate, lib.SdgGate, lib.TGate, lib.TdgGate, lib.SXGate, lib.SXdgGate, lib.IGate,
    lib.RXGate, lib.RYGate, lib.RZGate, lib.PhaseGate, lib.U1Gate, lib.U2Gate, lib.U3Gate, lib.UGate, lib.RGate, lib.RVGate,
    lib.CXGate, lib.CYGate, lib.CZGate, lib.CHGate, lib.CSGate, lib.CSdgGate, lib.CSXGate, lib.CPhaseGate, lib.CU1Gate, lib.CU3Gate,
    lib.CUGate, lib.CRXGate, lib.CRYGate, lib.CRZGate, lib.SwapGate, lib.iSwapGate, lib.DCXGate, lib.ECRGate, lib.RXXGate, lib.RYYGate,
    lib.RZZGate, lib.RZXGate, lib.XXPlusYYGate, lib.XXMinusYYGate, lib.CCXGate, lib.CCZGate, lib.CSwapGate, lib.RCCXGate, lib.RC3XGate,
    lib.C3XGate, lib.C3SXGate, lib.C4XGate,
]


def with_params(gate, random):
    names = list(inspect.signature(gate.__init__).parameters.values())[1:]
    needed = [p for p in names if p.default is inspect.Parameter.empty and p.kind == p.POSITIONAL_OR_KEYWORD]
    angles = [float(random.uniform(-7, 7)) if random.random() < 0.5 else np.pi * int(random.integers(-8, 9)) / 8 for _ in needed]
    return gate(*angles)


def random_circuit(qubits, length, seed):
    random = np.random.default_rng(seed)
    circuit = QuantumCircuit(qubits)
    while circuit.size() < length:
        gate = with_params(GATES[random.integers(len(GATES))], random)
        if random.random() < 0.1 and gate.num_qubits < qubits and gate.num_qubits <= 2:
            gate = gate.control(1, ctrl_state=int(random.integers(2)))
        if random.random() < 0.1:
            gate = gate.inverse()
        if gate.num_qubits <= qubits:
            circuit.append(gate, list(map(int, random.permutation(qubits)[: gate.num_qubits])))
    return circuit


def state(circuit):
    data = Statevector(circuit).data
    return [round(float(x), 12) for z in data for x in (z.real, z.imag)]


def entry(name, circuit, dumps=(qasm2, qasm3), bind=None):
    for language in dumps:
        out = {"name": f"{name} {language.__name__.split('.')[1]}", "program": language.dumps(circuit)}
        if bind:
            out["parameters"] = {p.name: v for p, v in bind.items()}
        yield {**out, "state": state(circuit.assign_parameters(bind) if bind else circuit)}


def gates_one_by_one():
    random = np.random.default_rng(1)
    for gate in GATES:
        one = with_params(gate, random)
        circuit = QuantumCircuit(max(3, one.num_qubits))
        for qubit in range(circuit.num_qubits):
            circuit.u(0.4 + qubit, 0.3 * qubit, 1 - qubit, qubit)
        circuit.append(one, list(range(one.num_qubits))[::-1])
        yield from entry(one.name, circuit)


def libraries():
    yield from entry("qft", lib.QFTGate(4).definition)
    yield from entry("efficient_su2", lib.efficient_su2(3, reps=1).assign_parameters(np.linspace(-2, 2, 12)))
    yield from entry("zz_feature_map", lib.zz_feature_map(3, reps=1).assign_parameters([0.3, 1.1, -0.7]))
    yield from entry("grover", lib.grover_operator(QuantumCircuit(3, name="oracle").compose(lib.CCZGate(), [0, 1, 2])))
    yield from entry("adder", lib.CDKMRippleCarryAdder(1, "full").decompose())
    yield from entry("mcx_open", QuantumCircuit(4).compose(lib.HGate(), [0]).compose(lib.XGate().control(3, ctrl_state=5), [0, 1, 2, 3]))
    yield from entry("multi_u", QuantumCircuit(3).compose(lib.HGate(), [0]).compose(lib.UGate(0.3, 0.2, 0.1).control(2), [0, 1, 2]))
    yield from entry("qaoa", lib.QAOAAnsatz(__import__("qiskit").quantum_info.SparsePauliOp(["ZZI", "IZZ"]), reps=1)
                     .decompose(reps=3).assign_parameters([0.4, 0.9]))
    sub = QuantumCircuit(2, name="my gate")
    sub.h(0); sub.rzx(0.3, 0, 1)
    outer = QuantumCircuit(3)
    outer.append(sub.to_gate(), [2, 0])
    outer.append(sub.to_gate().inverse(), [0, 1])
    outer.append(sub.to_gate().control(1), [1, 2, 0])
    yield from entry("custom", outer)
    a, b = Parameter("a"), Parameter("b")
    bound = QuantumCircuit(2)
    bound.rx(a, 0); bound.ry(2 * a - b / 3, 1); bound.crz(a * b + np.pi / 2, 0, 1); bound.rx(b, 0)
    yield from entry("parameters", bound, (qasm3,), {a: 0.7, b: -1.3})
    physical = transpile(lib.QFTGate(3).definition, basis_gates=["rz", "sx", "cx"], coupling_map=[[0, 1], [1, 2]], seed_transpiler=1)
    yield from entry("transpiled", physical)


def controlled():
    q, c, d = QuantumRegister(3, "q"), ClassicalRegister(2, "c"), ClassicalRegister(1, "d")
    new = lambda: QuantumCircuit(q, c, d)
    teleport = new()
    teleport.ry(1.1, 0); teleport.h(1); teleport.cx(1, 2); teleport.cx(0, 1); teleport.h(0); teleport.measure([0, 1], [0, 1])
    with teleport.if_test((c[1], 1)): teleport.x(2)
    with teleport.if_test((c[0], 1)): teleport.z(2)
    teleport.measure(2, d[0])
    yield "teleport", teleport
    either = new()
    either.h(0); either.ry(0.8, 1); either.measure([0, 1], c)
    with either.if_test((c, 2)) as other:
        either.x(2)
    with other:
        either.rx(1.2, 2)
    either.reset(0); either.measure(2, d[0])
    yield "if_else", either
    loop = new()
    loop.h(0); loop.measure(0, c[0])
    with loop.while_loop((c[0], 0)):
        loop.ry(0.9, 1); loop.h(0); loop.measure(0, c[0])
    loop.measure(1, d[0])
    yield "while", loop
    counted = new()
    i = Parameter("i")
    with counted.for_loop(range(1, 6, 2), i):
        counted.rx(i * 0.2, 0); counted.cx(0, 1)
    with counted.for_loop([3, 0, 4]):
        counted.ry(0.3, 2)
    counted.measure([0, 1], c); counted.measure(2, d[0])
    yield "for", counted
    cases = new()
    cases.h([0, 1]); cases.measure([0, 1], c)
    with cases.switch(c) as case:
        with case(0, 3): cases.x(2)
        with case(1): cases.ry(0.7, 2)
        with case(case.DEFAULT): cases.h(2)
    cases.measure(2, d[0])
    yield "switch", cases
    logic = new()
    logic.h([0, 1]); logic.measure([0, 1], c)
    with logic.if_test(expr.logic_and(expr.logic_not(c[0]), expr.less_equal(c, 2))): logic.x(2)
    with logic.if_test(expr.equal(expr.bit_xor(c, 1), 2)): logic.h(2)
    with logic.if_test(expr.logic_or(expr.bit_not(c[1]), expr.greater(expr.bit_and(c, 3), 2))): logic.ry(0.4, 2)
    logic.measure(2, d[0])
    yield "expressions", logic
    nested = new()
    nested.h(0); nested.measure(0, c[0])
    with nested.if_test((c[0], 1)):
        nested.h(1); nested.measure(1, c[1])
        with nested.if_test((c[1], 1)) as other: nested.x(2)
        with other: nested.ry(0.5, 2)
    nested.delay(100, 0, "ns"); nested.barrier(); nested.measure(2, d[0])
    yield "nested", nested


def main():
    if len(sys.argv) > 1:
        with open(sys.argv[2], "w") as out:
            for seed in range(int(sys.argv[1])):
                for one in entry(f"random {seed}", random_circuit(3 + seed % 4 if seed % 4 < 3 else 5, 30, seed)):
                    out.write(json.dumps(one) + "\n")
        return
    entries = [*gates_one_by_one(), *libraries()]
    for seed in range(12):
        entries += entry(f"random {seed}", random_circuit(5, 12, seed))
    simulator = AerSimulator(seed_simulator=7)
    for name, circuit in controlled():
        shots = 400_000
        counts = simulator.run(circuit, shots=shots).result().get_counts()
        entries.append({"name": name, "program": qasm3.dumps(circuit), "shots": shots, "counts": dict(sorted(counts.items()))})
    conditional = QuantumCircuit(2, 2)
    conditional.h(0); conditional.measure(0, 0); conditional.ry(1, 1); conditional.measure(1, 1)
    program = qasm2.dumps(conditional).rstrip() + "\nif(c==3) x q[0];\nif(c==1) ry(pi/3) q[1];\nmeasure q -> c;\n"
    counts = simulator.run(qasm2.loads(program), shots=400_000).result().get_counts()
    entries.append({"name": "qasm2 if", "program": program, "shots": 400_000, "counts": dict(sorted(counts.items()))})
    with open("qiskit.json", "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(one) for one in entries) + "\n]\n")


main()
