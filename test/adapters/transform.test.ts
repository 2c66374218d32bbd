import { createTransformAdapter } from '../../src/adapters/transform/adapter.ts';
import { adapterCompliance } from '../compliance/adapter.ts';

const input = [
  { region: 'eu', amount: 2 },
  { region: 'us', amount: 3.5 },
];

adapterCompliance('transform', () => createTransformAdapter(), [
  {
    type: 'mock_compute',
    params: { input: [1] },
    badParams: { delay_ms: 'x' },
    endlessParams: { delay_ms: 3_600_000 },
  },
  { type: 'transform_map', params: { input, expression: 'item.amount * 2' }, badParams: { input, expression: '1 +' } },
  {
    type: 'transform_map',
    params: { input, fields: ['region'] },
    badParams: { input, fields: [] },
    endlessParams: { input: new Array(200_000).fill(1), expression: '[1, 2, 3].map(x, x * item)' },
  },
  { type: 'transform_filter', params: { input, key: 'region', value: 'eu' }, badParams: { input } },
  { type: 'transform_filter', params: { input, expression: 'item.amount > 2' }, badParams: { input, expression: 'x' } },
  { type: 'transform_reduce', params: { input, operation: 'sum', key: 'amount', by: 'region' }, badParams: { input } },
  { type: 'transform_reduce', params: { input, operation: 'group', key: 'region' }, badParams: { operation: 'sum' } },
]);
