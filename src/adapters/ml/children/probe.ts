// Prints what devices of a kind there are, as JSON: its driver is loaded here, and may crash here.
import { messageOf } from '../../../lib/errors.ts';
import { cudaDevices, loadCuda } from '../device/cuda.ts';
import type { Device } from '../device/devices.ts';
import { loadOpenCL, openCLDevices } from '../device/opencl.ts';
import { adapterInfo, openGpu } from '../device/webgpu.ts';
import { dieWithParent } from '../process/limits.ts';

const mib = 1024 * 1024;

const probes: Readonly<Record<string, () => Device[] | Promise<Device[]>>> = {
  cuda: () =>
    cudaDevices(loadCuda()).map(({ ordinal, name, memoryBytes, driver }) => ({
      id: `cuda:${ordinal}`,
      kind: 'cuda',
      name,
      memoryMb: Math.floor(memoryBytes / mib),
      driver,
      isGpu: true,
    })),
  opencl: () =>
    openCLDevices(loadOpenCL()).map(({ name, memoryBytes, driver, isCpu }, index) => ({
      id: `opencl:${index}`,
      kind: 'opencl',
      name,
      memoryMb: Math.floor(memoryBytes / mib),
      driver,
      isGpu: !isCpu,
    })),
  async webgpu() {
    const { adapter } = await openGpu();
    const { name, driver, isCpu } = adapterInfo(adapter);
    // WebGPU doesn't say how much memory there is, only how large one buffer may be.
    const memoryMb = Math.floor(Number(adapter.limits.maxBufferSize) / mib);
    return [{ id: 'webgpu:0', kind: 'webgpu', name, memoryMb, driver, isGpu: !isCpu }];
  },
};

// A driver may hang beyond the end of the node.
dieWithParent(Number(process.argv[3]));
let told: { devices: Device[] } | { reason: string };
try {
  told = { devices: (await probes[process.argv[2] ?? '']?.()) ?? [] };
} catch (error) {
  told = { reason: messageOf(error) };
}
process.stdout.write(JSON.stringify(told), () => process.exit());
