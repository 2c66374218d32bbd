// A thread that takes parts of another's jobs (team.ts). It ends with that thread.
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { help, type Lend, type Start } from './team.ts';

const start = workerData as Start;
help(start, () => receiveMessageOnPort(start.port)?.message as Lend | undefined);
