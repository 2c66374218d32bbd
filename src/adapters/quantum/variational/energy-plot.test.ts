import assert from 'node:assert/strict';
import { test } from 'node:test';
import { energyPlot } from './energy-plot.ts';

const plot = (energies: readonly number[], others = {}): string =>
  energyPlot({ algorithm: 'vqe', energy_history: energies, ...others });
const coordinates = (svg: string): number[] =>
  [...svg.matchAll(/ (?:x|y|x1|y1|x2|y2|cx|cy)="([^"]*)"/g)].map(([, value]) => Number(value));

test('every history gives a picture whose marks lie in it', () => {
  const histories = [
    [-1],
    [0, 0, 0],
    [-1.1169989, -1.13728, -1.1373060358],
    [1e12, -1e12, 5],
    [1e-12, 2e-12],
    [-1.137306035753, -1.137306035754],
    Array.from({ length: 10_001 }, (_, at) => Math.cos(at / 300)),
  ];
  for (const energies of histories) {
    const svg = plot(energies);
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 720 400"/);
    const numbers = coordinates(svg);
    assert.ok(numbers.length > 10 && numbers.every((value) => value >= 0 && value <= 720), `${energies.slice(0, 3)}`);
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
    const labels = [...svg.matchAll(/text-anchor="end">([^<]*)</g)].map(([, label]) => label);
    assert.ok(labels.length >= 2 && labels.length <= 12 && new Set(labels).size === labels.length, labels.join(' '));
    assert.ok(svg.length < 40_000);
  }
});

test('the curve goes through its energies, the exact one is drawn where it is known', () => {
  const svg = plot([4, 2, 0], { reference_energy: 0, hartree_fock_energy: 4 });
  const [, points = ''] = /<polyline points="([^"]*)"/.exec(svg) ?? [];
  assert.equal(points, '84,44 392,196 700,348');
  assert.match(svg, /<line x1="84" y1="348" x2="700" y2="348" [^>]*stroke-dasharray/);
  assert.match(svg, /Energy \(hartree\)/);
  assert.doesNotMatch(plot([4, 2, 0]), /dasharray|hartree/);
});
