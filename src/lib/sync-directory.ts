import { open } from 'node:fs/promises';

/** Makes names that came or went in a directory durable. Windows can't open directories, and needs no such call. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
