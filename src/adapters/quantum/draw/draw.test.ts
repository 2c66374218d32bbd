import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readGateList } from '../formats/gate-list/read.ts';
import { histogram, probabilityList } from './histogram.ts';
import { drawSvg } from './svg.ts';
import { drawText } from './text.ts';

const measuredFirst = [
  { type: 'H', qubit: 0 },
  { type: 'Measure', qubit: 0, bits: [0] },
  { type: 'X', qubit: 1, condition: { bit: 0 } },
  { type: 'Measure', qubit: 1, bits: [0] },
];

describe('a drawing', () => {
  test('has what depends on a bit to the right of what writes it', () => {
    const [first = '', second = ''] = drawText(readGateList(measuredFirst))
      .split('\n')
      .filter((line) => line.startsWith('q'));
    assert.ok(first.indexOf('M→c0') < second.indexOf('[if'));
    assert.ok(second.indexOf('[if') < second.indexOf('M→c0'));
  });

  test('shows a register of any name, and nothing of it acts on a terminal or within the picture', () => {
    const name = '\u001b[31m<script>&\n"';
    const circuit = readGateList(measuredFirst, { registers: [{ name, size: 1 }] });
    for (const drawn of [drawText(circuit), drawSvg(circuit)]) {
      assert.ok(!drawn.includes('\u001b'));
      assert.match(drawn, /\ufffd\[31m/);
    }
    assert.equal(drawText(circuit).split('\n').length, 3);
    assert.ok(!drawSvg(circuit).includes('<script>'));
  });
});

describe('outcomes', () => {
  test('stand in the order of how often they came', () => {
    const lines = histogram({ '10': 1, '01': 5, '00': 2 }, 2).split('\n');
    assert.deepEqual(
      lines.map((line) => line.slice(0, 2)),
      ['01', '00', '… '],
    );
    assert.match(lines[2] ?? '', /1 more outcomes, 1 of 8 shots/);
  });

  test('of exact probabilities as well, and it is told how many are left out', () => {
    const text = probabilityList({ '10': 0.25, '01': 0.5, '00': 0.25 }, 2);
    assert.equal(text, '01  0.500000\n00  0.250000\n… 1 more outcomes, 0.250000 in all');
  });
});
