/** A defect that somebody could write, or a protection that somebody could take out. */
export interface Bug {
  name: string;
  file: string;
  /** Must stand in the file exactly once. */
  find: string;
  replace: string;
  why: string;
}

/** Every one of these must be found by the simulator (bugs.test.ts). */
export const bugs: readonly Bug[] = [
  {
    name: 'no-fence',
    file: 'src/core/run/decide.ts',
    find: 'return state.attempt === key.attempt && state.epoch === key.epoch && state.node === key.node ? state : undefined;',
    replace: 'return state;',
    why: 'an answer to an earlier attempt, or of another node, counts for the current one',
  },
  {
    name: 'send-before-persist',
    file: 'src/engine/dispatcher.ts',
    find: 'journal.emit(run, event, () => {',
    replace: 'journal.emit(run, event);\n    queueMicrotask(() => {',
    why: 'a worker begins an attempt that a crash may make the journal forget',
  },
  {
    name: 'ack-before-durable',
    file: 'src/engine/answers.ts',
    find: 'return journal.emit(run, verdict.event, () => this.#acknowledge(member, message, true));',
    replace: 'this.#acknowledge(member, message, true);\n        return journal.emit(run, verdict.event);',
    why: 'a worker forgets a result that is not on the disk yet',
  },
  {
    name: 'room-is-not-given-back',
    file: 'src/engine/runs.ts',
    find: 'this.#deps.scheduler.release(node, demandFor(run.state.plan, step));',
    replace: '',
    why: 'nodes fill up with steps that have ended',
  },
  {
    name: 'room-is-not-taken',
    file: 'src/core/scheduler/node.ts',
    find: 'for (const name in demand.resources) node.used[name] = (node.used[name] ?? 0) + (demand.resources[name] ?? 0);',
    replace: '',
    why: 'nodes are over-committed',
  },
  {
    name: 'room-is-forgotten-over-a-restart',
    file: 'src/engine/members.ts',
    find: 'if (known === undefined) this.#events.reserve(member.id);',
    replace: '',
    why: 'what a node went on running while the coordinator was down counts for nothing',
  },
  {
    name: 'lost-node-keeps-its-steps',
    file: 'src/engine/members.ts',
    find: 'this.#events.left(member, why);',
    replace: '',
    why: 'the steps of a lost node go to no other',
  },
  {
    name: 'another-input-is-accepted',
    file: 'src/core/run/decide.ts',
    find: 'if (current.inputDigest !== answer.inputDigest) {',
    replace: 'if (false) {',
    why: 'a receipt for other params than those assigned counts',
  },
  {
    name: 'any-receipt-is-accepted',
    file: 'src/engine/answers.ts',
    find: 'if (member.connection?.local === true) return',
    replace: 'if (member.connection !== undefined) return',
    why: 'receipts of other nodes count unchecked',
  },
  {
    name: 'held-results-stay',
    file: 'src/worker/worker.ts',
    find: 'if (attempt.result !== undefined) this.#send(attempt.result);',
    replace: '',
    why: 'a result that was lost with its connection is not sent again',
  },
  {
    name: 'results-are-forgotten-once-sent',
    file: 'src/worker/worker.ts',
    find: 'if (this.#held.get(name) === held) this.#send(result);',
    replace: 'if (this.#held.get(name) === held) {\n        this.#send(result);\n        this.#release(name);\n      }',
    why: 'a worker forgets a result before it is acknowledged',
  },
  {
    name: 'review-drops-what-runs',
    file: 'src/engine/answers.ts',
    find: "if (isCurrent(run.state, { step: key.step_id, node: nodeId, ...key }) !== undefined) return 'current';",
    replace: '',
    why: 'a node that comes back is told to drop what it still works on',
  },
  {
    name: 'one-retry-too-many',
    file: 'src/core/run/decide.ts',
    find: 'if (failures >= (policy.max_retries',
    replace: 'if (failures > (policy.max_retries',
    why: 'a step is tried once more than its workflow allows',
  },
  {
    name: 'end-before-the-last-step',
    file: 'src/core/run/state.ts',
    find: 'run.counts.assigned === 0 && (run.stopping',
    replace: '(run.counts.assigned === 0 || run.stopping !== undefined) && (run.stopping',
    why: 'a run that stops is concluded while steps still run',
  },
  {
    name: 'epoch-is-taken-twice',
    file: 'src/store/memory/memory-store.ts',
    find: 'this.#disk.epoch += 1;',
    replace: 'this.#disk.epoch ||= 1;',
    why: 'a second coordinator does not fence the first',
  },
  {
    name: 'no-fence-on-the-disk',
    file: 'src/store/memory/memory-store.ts',
    find: 'if (append.epoch !== this.epoch) return fenced(append, this.epoch);',
    replace: '',
    why: 'a coordinator of an older epoch goes on writing',
  },
  {
    name: 'leaves-out-of-order',
    file: 'src/core/run/result.ts',
    find: 'merkle_root: merkleRootOf(run.receipts.map(',
    replace: 'merkle_root: merkleRootOf(run.receipts.toSorted((a, b) => a.step - b.step).map(',
    why: 'the Merkle tree has receipts in another order than the journal',
  },
  {
    name: 'checkpoint-saved-before-durable',
    file: 'src/engine/answers.ts',
    find: "() => this.#deps.members.send(member.id, { kind: 'checkpoint.saved', run_id, step_id, attempt, epoch, save }),",
    replace:
      "(this.#deps.members.send(member.id, { kind: 'checkpoint.saved', run_id, step_id, attempt, epoch, save }), () => undefined),",
    why: 'an adapter goes on, and a crash takes the state it thought was safe',
  },
  {
    name: 'any-answer-saves-the-checkpoint',
    file: 'src/worker/worker.ts',
    find: 'if (held?.checkpoint?.message.save !== message.save) return;',
    replace: 'if (held?.checkpoint === undefined) return;',
    why: 'the answer to an earlier state counts for the newest',
  },
  {
    name: 'commit-though-refused',
    file: 'src/worker/worker.ts',
    find: 'message.accepted ? held.attempt.committed() : held.attempt.abandoned()',
    replace: 'held.attempt.committed()',
    why: 'an adapter acts on a commit of an attempt that did not count',
  },
  {
    name: 'known-answer-is-refused',
    file: 'src/core/run/decide.ts',
    find: "if (newest?.envelope.payload === answer.envelope.payload) return { kind: 'known' };",
    replace: '',
    why: 'a result whose acknowledgement was lost is refused when it is sent again',
  },
  {
    name: 'stopping-run-starts-steps',
    file: 'src/engine/dispatcher.ts',
    find: 'run.state.stopping === undefined &&\n  !run.concluding',
    replace: '!run.concluding',
    why: 'a run that was cancelled, or has failed, begins further steps',
  },
  {
    name: 'silence-is-golden',
    file: 'src/worker/worker.ts',
    find: 'if (!connection.local) this.#watch(session, heartbeatMs * heartbeatsMissedMax);',
    replace: '',
    why: 'a worker waits for ever for a coordinator whose machine is gone',
  },
  {
    name: 'key-is-not-looked-up',
    file: 'src/store/memory/memory-store.ts',
    find: 'if (key !== null && this.keys.has(key)) return keyTaken(append);',
    replace: '',
    why: 'two submissions with one idempotency key start two runs',
  },
  {
    name: 'own-worker-is-watched-too',
    file: 'src/worker/worker.ts',
    find: 'if (!connection.local) this.#watch(session,',
    replace: 'this.#watch(session,',
    why: 'the worker within a coordinator, which nobody pings, leaves it when nothing happens for a while',
  },
];
