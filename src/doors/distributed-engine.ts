/** What `require('jsonflow/distributed-engine.js')` gives. */
export { DistributedEngine, type EngineConfig } from '../compose/distributed-engine.ts';
