export { toQasm2 } from './write-2.ts';
export { toQasm3 } from './write-3.ts';
