import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { fillCache } from './install.ts';
import { findProgram, run } from './run.ts';

const version = '12.9.86';
const folder = cacheFolder(`nvrtc-${version}`);

/** Where NVIDIA's compiler is once it is installed. It needs no GPU. */
export const nvrtcFile: string = join(folder, 'nvidia', 'cuda_nvrtc', 'lib', 'libnvrtc.so.12');

/** So that tests compile CUDA, where Python's pip is there. It stays. */
export async function installNvrtc(report: (line: string) => void): Promise<void> {
  if (process.platform !== 'linux' || process.env.JSONFLOW_NVRTC !== undefined || existsSync(nvrtcFile)) return;
  const python = findProgram('python3');
  if (python === undefined) {
    report('NVRTC unavailable: getting it needs python3 with pip; tests that compile CUDA are skipped.');
    return;
  }
  report('Installing NVRTC …');
  const build = async (into: string): Promise<void> => {
    const wheel = `nvidia-cuda-nvrtc-cu12==${version}`;
    await run(python, ['-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '-q', '-d', into, wheel]);
    const unpack = `import glob, os, zipfile
for wheel in glob.glob("*.whl"):
    zipfile.ZipFile(wheel).extractall()
    os.remove(wheel)`;
    await run(python, ['-c', unpack], { cwd: into });
  };
  try {
    await fillCache({ kind: 'cache', folder, needs: [], build });
  } catch (error) {
    report(`NVRTC unavailable: its installation failed: ${(error as Error).message}`);
  }
}
