"""Makes cirq.json: circuits as Cirq writes them, as JSON and as OpenQASM, with the states and counts that Cirq finds.

    pip install cirq-core==1.7.0 && python make_cirq.py

With numbers, such as `make_cirq.py 1000 /tmp/random.jsonl`, it writes that many random circuits instead, for JSONFLOW_CIRQ.
"""
import json
import sys

import cirq
import numpy as np
import sympy

LINE = cirq.LineQubit.range(4)


def state(circuit):
    """With the first qubit as the least significant."""
    vector = circuit.final_state_vector(qubit_order=sorted(circuit.all_qubits()), dtype=np.complex128)
    n = len(circuit.all_qubits())
    data = vector.reshape((2,) * n).transpose(range(n)[::-1]).reshape(-1)
    return [round(float(x), 12) for z in data for x in (z.real, z.imag)]


def entry(name, circuit, qasm=False, bind=None):
    out = {"name": name, "cirq": json.loads(cirq.to_json(circuit))}
    if bind:
        out["parameters"] = bind
    yield {**out, "state": state(cirq.resolve_parameters(circuit, bind or {}))}
    if qasm:
        for version in ("2.0", "3.0"):
            yield {"name": f"{name} OpenQASM {version}", "program": circuit.to_qasm(version=version, precision=15), "state": state(circuit)}


def gates(random):
    angle = lambda: float(random.uniform(-3, 3))
    shift = lambda: random.choice([0, 0, -0.5, 0.3])
    unitary = lambda n: cirq.testing.random_unitary(2**n, random_state=int(random.integers(1 << 30)))
    powers = [cirq.XPowGate, cirq.YPowGate, cirq.ZPowGate, cirq.HPowGate, cirq.CXPowGate, cirq.CZPowGate, cirq.CCXPowGate,
              cirq.CCZPowGate, cirq.XXPowGate, cirq.YYPowGate, cirq.ZZPowGate, cirq.SwapPowGate, cirq.ISwapPowGate]
    exponents = [1, 0.5, -0.5, 0.25, -0.25, -1, 2, 0]
    for gate in powers:
        yield gate(exponent=angle(), global_shift=float(shift()))
        yield gate(exponent=float(random.choice(exponents)))
    yield from [cirq.X, cirq.Y, cirq.Z, cirq.H, cirq.S, cirq.T, cirq.I, cirq.CNOT, cirq.CZ, cirq.SWAP, cirq.ISWAP, cirq.CCX, cirq.CCZ]
    yield from [cirq.CSWAP, cirq.IdentityGate(2), cirq.rx(angle()), cirq.ry(angle()), cirq.rz(angle())]
    yield cirq.PhasedXPowGate(phase_exponent=angle(), exponent=angle(), global_shift=angle())
    yield cirq.PhasedXZGate(x_exponent=angle(), z_exponent=angle(), axis_phase_exponent=angle())
    yield cirq.FSimGate(angle(), angle())
    yield cirq.PhasedFSimGate(angle(), angle(), angle(), angle(), angle())
    yield cirq.PhasedISwapPowGate(phase_exponent=angle(), exponent=angle())
    yield from [cirq.ms(angle()), cirq.givens(angle()), cirq.riswap(angle())]
    yield from [cirq.MatrixGate(unitary(n)) for n in (1, 2, 3)]
    yield cirq.DiagonalGate([angle() for _ in range(8)])
    yield cirq.TwoQubitDiagonalGate([angle() for _ in range(4)])
    yield cirq.ThreeQubitDiagonalGate([angle() for _ in range(8)])
    yield cirq.ParallelGate(cirq.X**0.3, 3)
    yield cirq.ControlledGate(cirq.PhasedXPowGate(phase_exponent=angle(), exponent=angle()), 2)
    yield cirq.ControlledGate(cirq.MatrixGate(unitary(1)), control_values=[0])
    yield cirq.ControlledGate(cirq.ZPowGate(exponent=angle(), global_shift=angle()), control_values=[0, (0, 1)])
    yield cirq.ControlledGate(cirq.ISWAP, control_values=cirq.SumOfProducts([(0, 1), (1, 0)]))
    yield cirq.ControlledGate(cirq.CXPowGate(exponent=angle(), global_shift=angle()))


def started(qubits=LINE):
    return [cirq.PhasedXZGate(x_exponent=0.2 + 0.1 * at, z_exponent=0.3 * at, axis_phase_exponent=0.15 * at)(q) for at, q in enumerate(qubits)]


def random_circuit(random, length):
    circuit = cirq.Circuit(started())
    for gate in random.permutation(np.array([*gates(random)], dtype=object))[:length]:
        on = [LINE[i] for i in random.permutation(4)[: cirq.num_qubits(gate)]]
        operation = gate(*on)
        rest = [q for q in LINE if q not in on]
        if rest and random.random() < 0.2:
            operation = operation.controlled_by(rest[0], control_values=[int(random.integers(2))])
        circuit.append(operation)
    return circuit


def others():
    a, b = sympy.symbols("a b")
    yield from entry("parameters", cirq.Circuit(started(), (cirq.X**a)(LINE[0]), cirq.rz(2 * b + sympy.pi / 3)(LINE[1]),
                     (cirq.CZ ** (a * b - sympy.Rational(1, 3)))(LINE[0], LINE[2]), (cirq.Y ** (a**2))(LINE[3])), bind={"a": 0.3, "b": -1.2})
    names = [cirq.NamedQubit(n) for n in ("b10", "b2", "a", "b02")] + [cirq.GridQubit(1, 0), cirq.GridQubit(0, 5), cirq.LineQubit(-1)]
    yield from entry("kinds of qubits", cirq.Circuit(started(names), cirq.CNOT(names[0], names[4]), cirq.ISWAP(names[1], names[6])))
    yield from entry("tags", cirq.Circuit(started(), cirq.H(LINE[0]).with_tags("x"), cirq.Y(LINE[1]).controlled_by(LINE[0]).with_tags("y")))
    qft = cirq.Circuit(started(), cirq.decompose(cirq.qft(*LINE)))
    yield from entry("qft", qft, qasm=True)
    plain = cirq.Circuit(started(), cirq.H(LINE[0]), cirq.CNOT(LINE[0], LINE[1]), cirq.CCX(*LINE[:3]), cirq.T(LINE[2]) ** -1,
                         cirq.X(LINE[3]) ** 0.37, cirq.CSWAP(*LINE[1:]), cirq.ISWAP(*LINE[:2]), cirq.ZZ(*LINE[2:]) ** 0.2, cirq.ry(0.4)(LINE[0]))
    yield from entry("plain", plain, qasm=True)


def measured():
    q = LINE
    teleport = cirq.Circuit(cirq.ry(1.1)(q[0]), cirq.H(q[1]), cirq.CNOT(q[1], q[2]), cirq.CNOT(q[0], q[1]), cirq.H(q[0]),
                            cirq.measure(q[0], key="z"), cirq.measure(q[1], key="x"), cirq.X(q[2]).with_classical_controls("x"),
                            cirq.Z(q[2]).with_classical_controls("z"), cirq.measure(q[2], key="out"))
    yield "teleport", teleport, True
    m = sympy.Symbol("m")
    number = cirq.Circuit(cirq.ry(0.7)(q[0]), cirq.ry(1.9)(q[1]), cirq.measure(q[0], q[1], key="m"), cirq.reset(q[0]),
                          cirq.X(q[2]).with_classical_controls(sympy.Eq(m, 2)), (cirq.X**0.5)(q[2]).with_classical_controls(m > 0, sympy.Ne(m, 3)),
                          cirq.measure(q[0], q[2], key="out"))
    yield "numbers", number, False
    mask = cirq.Circuit(cirq.ry(0.7)(q[0]), cirq.ry(1.9)(q[1]), cirq.measure(q[0], q[1], key="m"),
                        cirq.X(q[2]).with_classical_controls(cirq.BitMaskKeyCondition("m", bitmask=1, target_value=0, equal_target=True)),
                        cirq.measure(q[2], q[1], key="out", invert_mask=(False, True)))
    yield "masks and inversion", mask, False
    again = cirq.Circuit(cirq.ry(1.1)(q[0]), cirq.measure(q[0], key="m"), cirq.ry(0.6)(q[0]), cirq.measure(q[1], key="other"),
                         cirq.X(q[1]).with_classical_controls("m"), cirq.measure(q[0], key="m"),
                         cirq.X(q[2]).with_classical_controls("m"), (cirq.X**0.5)(q[2]).with_classical_controls(cirq.KeyCondition("m", index=0)),
                         cirq.ry(0.9)(q[0]).with_classical_controls(cirq.BitMaskKeyCondition("m", index=-2, target_value=1, equal_target=True)),
                         cirq.measure(q[0], key="m"), cirq.measure(q[1], q[2], key="out"))
    yield "a key that is measured three times", again, False


def counts(circuit):
    """Bit 0 of a key is the first qubit of its first measurement, printed last; keys as they come in the circuit, the last leftmost."""
    shots = 40_000
    records = cirq.Simulator(seed=5).run(circuit, repetitions=shots).records
    keys = list(dict.fromkeys(cirq.measurement_key_name(op) for op in circuit.all_operations() if cirq.is_measurement(op)))
    found = {}
    for shot in range(shots):
        text = " ".join("".join(str(int(bit)) for bit in records[key][shot].reshape(-1)[::-1]) for key in keys[::-1])
        found[text] = found.get(text, 0) + 1
    return dict(sorted(found.items()))


def main():
    if len(sys.argv) > 1:
        with open(sys.argv[2], "w") as out:
            for seed in range(int(sys.argv[1])):
                for one in entry(f"random {seed}", random_circuit(np.random.default_rng(seed), 12)):
                    out.write(json.dumps(one) + "\n")
        return
    entries = []
    for at, gate in enumerate(gates(np.random.default_rng(3))):
        n = cirq.num_qubits(gate)
        entries += entry(f"{at} {str(gate).splitlines()[0][:40]}", cirq.Circuit(started(LINE[: max(2, n)]), gate(*LINE[:n][::-1])))
    for seed in range(4):
        entries += entry(f"random {seed}", random_circuit(np.random.default_rng(seed), 8))
    entries += others()
    for name, circuit, qasm in measured():
        found = counts(circuit)
        entries.append({"name": name, "cirq": json.loads(cirq.to_json(circuit)), "counts": found})
        if qasm:
            entries.append({"name": f"{name} OpenQASM 3.0", "program": circuit.to_qasm(version="3.0"), "counts": found})
    with open("cirq.json", "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(one) for one in entries) + "\n]\n")


main()
