export { pruneStore } from '../store/sqlite/prune.ts';
