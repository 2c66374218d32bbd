import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import type { StreamEvent } from '../../compose/offline.ts';
import { ServerSentEvents } from '../sse.ts';
import { duration, printable, table } from '../terminal.ts';
import { eventLine } from './event-line.ts';
import { frame } from './frame.ts';
import { emptyRunView, observe, type RunView } from './run-view.ts';

const digest = 'ab'.repeat(32);
const envelope = { payload: '', payloadType: 'application/vnd.in-toto+json' as const, signatures: [] };
const started = (count: number): StreamEvent => ({
  seq: 0,
  event: {
    kind: 'run.started',
    at: 1000,
    version: 1,
    workflow: {
      workflow: 'many',
      steps: Array.from({ length: count }, (_, index) => ({ id: `s${index}`, type: 'mock_compute' })),
    },
    workflow_digest: digest,
    input: { value: {} },
    input_digest: digest,
    tenant_id: null,
  },
});
const assigned = (step: string, at: number): StreamEvent => ({
  seq: 1,
  event: {
    kind: 'step.assigned',
    at,
    step,
    attempt: 1,
    epoch: 1,
    node: 'w-1',
    input_digest: digest,
    reason: { score: 1, text: 'least loaded', parts: {}, candidates: 2 },
  },
});
const succeeded = (step: string): StreamEvent => ({
  seq: 2,
  event: {
    kind: 'step.succeeded',
    at: 1500,
    step,
    attempt: 1,
    node: 'w-1',
    envelope,
    output: { value: 1 },
    output_digest: digest,
    latency_ms: 42,
  },
});

const viewOf = (...items: StreamEvent[]): RunView => {
  const view = emptyRunView('r-1');
  for (const item of items) observe(view, item);
  return view;
};
const plain = (lines: readonly string[]): string[] => lines.map((line) => stripVTControlCharacters(line));

describe('the live view', () => {
  it('shows each step with its state, node, time and note', () => {
    const view = viewOf(started(3), assigned('s0', 1100), succeeded('s0'), assigned('s1', 1200), {
      seq: null,
      event: { kind: 'step.progress', at: 1600, step: 's1', attempt: 1, fraction: 0.25, note: 'rows' },
    });
    const [header, ...steps] = plain(frame(view, { columns: 100, rows: 24 }, 600, 1700));
    assert.equal(header, 'many  running  1/3  600 ms  r-1');
    assert.match(String(steps[0]), /^✔ s0 {2}mock_compute {2}w-1 +42 ms$/);
    assert.match(String(steps[1]), /^▶ s1 .* 500 ms {2}25 % rows$/);
    assert.match(String(steps[2]), /^○ s2/);
  });

  it('never is taller or wider than the terminal, and keeps what runs', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 5, max: 60 }),
        fc.integer({ min: 20, max: 200 }),
        (count, rows, columns) => {
          const view = viewOf(started(count), assigned(`s${count - 1}`, 1100));
          const lines = plain(frame(view, { columns, rows }, 0, 1100));
          assert.ok(lines.length < rows);
          for (const line of lines) assert.ok([...line].length < columns, line);
          if (rows >= 5) assert.ok(lines.some((line) => line.startsWith('▶')));
        },
      ),
      { seed: 7 },
    );
  });

  it('lets no foreign text steer the terminal', () => {
    const view = viewOf(started(1), {
      seq: null,
      event: { kind: 'step.waiting', at: 1, step: 's0', why: 'evil \x1b[2J\x07\u202e' },
    });
    assert.ok(
      !plain(frame(view, { columns: 90, rows: 9 }, 0, 0))
        .join('')
        .includes('\x1b'),
    );
    assert.equal(printable('a\x1b]0;x\x07b'), 'a\ufffd]0;x\ufffdb');
  });

  it('prints one line an event', () => {
    assert.equal(eventLine(assigned('s0', 0)), '00:00:00.000  step.assigned     s0 → w-1  attempt 1  (least loaded)');
    assert.ok(
      !eventLine({
        seq: null,
        event: { kind: 'step.log', at: 0, step: 's', attempt: 1, node: 'n', level: 'info', text: 'a\nb' },
      }).includes('\n'),
    );
  });
});

describe('texts', () => {
  it('aligns columns and names durations', () => {
    assert.equal(
      table([
        ['a', 'bb'],
        ['ccc', 'd'],
      ]),
      'a    bb\nccc  d\n',
    );
    assert.deepEqual([5, 1500, 125_000, 7_260_000].map(duration), ['5 ms', '1.5 s', '2 min 5 s', '2 h 1 min']);
  });
});

describe('server-sent events', () => {
  it('are the same however the stream is cut', () => {
    const stream = ': hello\n\nretry: 5\nid: 1\nevent: x\ndata: {"a":1}\n\ndata: one\ndata: two\r\n\r\n';
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: stream.length })), (cuts) => {
        const parser = new ServerSentEvents();
        const places = [0, ...cuts.sort((a, b) => a - b), stream.length];
        const found = places.slice(1).flatMap((end, index) => parser.push(stream.slice(places[index], end)));
        assert.deepEqual(found, ['{"a":1}', 'one\ntwo']);
      }),
      { seed: 7 },
    );
  });

  it('refuses an event that is too long, in one line or in many', () => {
    const refused = { name: 'JSONFlowError', code: 'LIMIT_EXCEEDED' };
    assert.throws(() => new ServerSentEvents(100).push(`data: ${'x'.repeat(100)}`), refused);
    assert.throws(() => new ServerSentEvents(100).push('data: 345\n'.repeat(12)), refused);
    const byLine = new ServerSentEvents(100);
    assert.throws(() => {
      for (let line = 0; line < 12; line++) byLine.push('data: 345\n');
    }, refused);
    const many = new ServerSentEvents(100);
    for (let event = 0; event < 50; event++) assert.deepEqual(many.push(`data: ${'x'.repeat(90)}\n\n`).length, 1);
  });
});
