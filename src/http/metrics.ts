import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CoordinatorApi } from '../engine/api.ts';
import { productVersion } from '../protocol/version.ts';

/** What the metrics are told beside what they ask the coordinator for. */
export interface Metrics {
  /** An attempt at a step ended. */
  stepEnded(outcome: 'success' | 'failed' | 'retrying', latencyMs: number): void;
  /** A run ended. */
  runEnded(status: 'completed' | 'failed' | 'cancelled', durationMs: number): void;
  requestEnded(route: string, method: string, status: number, durationMs: number): void;
  /** The text format of Prometheus, with its content type. */
  render(): Promise<{ text: string; contentType: string }>;
}

/** Metrics of one coordinator, in a registry of their own: several coordinators of one process don't mix. */
export function createMetrics(api: CoordinatorApi): Metrics {
  const registry = new Registry();
  registerStats(registry, api);
  const stepSeconds = new Histogram({
    name: 'jsonflow_step_duration_seconds',
    help: 'Time from the start of an attempt to its accepted receipt.',
    labelNames: ['outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
    registers: [registry],
  });
  const runSeconds = new Histogram({
    name: 'jsonflow_run_duration_seconds',
    help: 'Time from the start of a run to its end.',
    labelNames: ['status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200],
    registers: [registry],
  });
  const httpSeconds = new Histogram({
    name: 'jsonflow_http_request_duration_seconds',
    help: 'Time until the head of the answer was ready.',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10],
    registers: [registry],
  });
  let withProcess = false;
  return {
    stepEnded: (outcome, latencyMs) => stepSeconds.observe({ outcome }, latencyMs / 1000),
    runEnded: (status, durationMs) => runSeconds.observe({ status }, durationMs / 1000),
    requestEnded: (route, method, status, durationMs) =>
      httpSeconds.observe({ route, method, status }, durationMs / 1000),
    async render() {
      // Watching the event loop and the collector costs a little: only who asks pays.
      if (!withProcess) collectDefaultMetrics({ register: registry });
      withProcess = true;
      return { text: await registry.metrics(), contentType: registry.contentType };
    },
  };
}

/** Gauges and counters that are read from the coordinator whenever they are asked for. */
function registerStats(registry: Registry, api: CoordinatorApi): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const counter = (name: string, help: string, label: string, read: () => Record<string, number>): void => {
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        this.reset();
        for (const [value, count] of Object.entries(read())) this.inc({ [label]: value }, count);
      },
    });
  };
  gauge('jsonflow_runs_active', 'Runs that go on.', () => api.stats().runs.active);
  gauge('jsonflow_runs_queued', 'Runs that wait for their turn.', () => api.stats().runs.queued);
  gauge('jsonflow_steps_running', 'Steps that a node works on.', () => api.stats().steps.running);
  gauge('jsonflow_steps_ready', 'Steps that wait for a node.', () => api.stats().steps.ready);
  gauge('jsonflow_epoch', 'Epoch of this coordinator (fencing token).', () => api.stats().epoch);
  gauge('jsonflow_uptime_seconds', 'Time since the start.', () => api.stats().uptime_ms / 1000);
  gauge('jsonflow_nodes_connected', 'Nodes that are connected.', () => api.stats().nodes.connected);
  gauge('jsonflow_nodes_suspected', 'Nodes that missed heartbeats.', () => api.stats().nodes.suspected);
  counter('jsonflow_runs_total', 'Runs since the start.', 'event', () => {
    const { started, completed, failed, cancelled } = api.stats().runs;
    return { started, completed, failed, cancelled };
  });
  counter('jsonflow_steps_total', 'Attempts at steps since the start.', 'outcome', () => {
    const { succeeded, failed, retried, reassigned, refused } = api.stats().steps;
    return { succeeded, failed, retried, reassigned, refused };
  });
  counter('jsonflow_journal_total', 'Work of the journal since the start.', 'kind', () => {
    const { appends, events, commits } = api.stats().journal;
    return { appends, events, commits };
  });
  new Gauge({
    name: 'jsonflow_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version: productVersion, node: process.versions.node }, 1);
}
