import { readdirSync } from 'node:fs';
import { installPackages } from './install.ts';
import { findProgram, isRoot } from './run.ts';

/** The loader, and PoCL: OpenCL on any processor. */
const packages = ['ocl-icd-libopencl1', 'pocl-opencl-icd'];

function hasDriver(): boolean {
  try {
    return readdirSync('/etc/OpenCL/vendors').some((name) => name.endsWith('.icd'));
  } catch {
    return false;
  }
}

/** So that tests of kernels run, where the machine lets us. It is no server, and stays. */
export async function installOpenCL(report: (line: string) => void): Promise<void> {
  if (process.platform !== 'linux' || hasDriver()) return;
  if (findProgram('apt-get') === undefined || !isRoot()) {
    report(
      'OpenCL unavailable: only root on Debian may install the package pocl-opencl-icd; tests of kernels are skipped.',
    );
    return;
  }
  report('Installing PoCL …');
  try {
    await installPackages(packages);
  } catch (error) {
    report(`OpenCL unavailable: its installation failed: ${(error as Error).message}`);
  }
}
