import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSite, type Leftover, launch, type Site, stopInstance } from './instance.ts';
import type { ServiceName } from './names.ts';
import { identify, isRunning, kill, type ProcessId, signal, withDescendants } from './process-id.ts';
import { recipes } from './recipes.ts';
import { stateFolder } from './state.ts';

/** What is noted of a private server, so that somebody can clear up after an owner that was killed. */
type Note = Leftover & { owner: ProcessId };

const folderIn = (folder: string): string => join(folder, 'private');

/** Private servers of this process. */
const open = new Set<PrivateServer>();
let count = 0;

process.on('exit', () => {
  for (const server of open) server.abandon();
});

/** A server that belongs to one test file, which may kill it and start it again. */
export class PrivateServer {
  readonly name: ServiceName;
  readonly url: string;
  readonly #site: Site;
  readonly #note: string;
  #processes: ProcessId[] = [];
  #version = '';

  private constructor(site: Site, folder: string) {
    this.#site = site;
    this.name = site.name;
    this.url = recipes[site.name].url(site.place);
    mkdirSync(folderIn(folder), { recursive: true });
    this.#note = join(folderIn(folder), `${this.name}-${process.pid}-${count++}.json`);
    open.add(this);
  }

  /** Starts a new one with no data. */
  static async start(name: ServiceName, folder = stateFolder): Promise<PrivateServer> {
    const server = new PrivateServer(await createSite(name), folder);
    try {
      await server.restart();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  get version(): string {
    return this.#version;
  }

  /** The folder with its data and log. */
  get dataDir(): string {
    return this.#site.place.dir;
  }

  /** Ends it by SIGKILL with all its processes, as a power cut would. Its data stays. */
  async kill(): Promise<void> {
    await kill(this.#processes);
  }

  /** Starts it again on the same port with the same data, once it has been killed; one that runs is killed first. */
  async restart(): Promise<void> {
    await this.kill();
    const note = (processes: ProcessId[]): void => {
      this.#processes = processes;
      this.#write();
    };
    const { processes, version } = await launch(this.#site, note);
    note(processes);
    this.#version = version;
  }

  /** Ends it and removes its data. */
  async stop(): Promise<void> {
    await stopInstance({ processes: this.#processes, dataDir: this.dataDir });
    this.#forget();
  }

  /** What `stop` does, at once and without waiting. */
  abandon(): void {
    signal(withDescendants(this.#processes), 'SIGKILL');
    rmSync(this.dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    this.#forget();
  }

  #write(): void {
    const owner = identify(process.pid);
    if (!owner) throw new Error('This process cannot see itself in the list of processes.');
    const note: Note = { owner, processes: this.#processes, dataDir: this.dataDir };
    writeFileSync(this.#note, JSON.stringify(note));
  }

  #forget(): void {
    rmSync(this.#note, { force: true });
    open.delete(this);
  }
}

/** Ends the private servers whose owners have ended without doing so. */
export async function sweepPrivateServers(folder = stateFolder): Promise<void> {
  mkdirSync(folderIn(folder), { recursive: true });
  for (const file of readdirSync(folderIn(folder))) {
    const path = join(folderIn(folder), file);
    const { owner, ...instance }: Note = JSON.parse(readFileSync(path, 'utf8'));
    if (isRunning(owner)) continue;
    await stopInstance(instance);
    rmSync(path, { force: true });
  }
}
