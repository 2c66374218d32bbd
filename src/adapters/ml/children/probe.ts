// Prints what devices there are, as JSON: drivers are loaded here, and may crash here.
import { messageOf } from '../../../lib/errors.ts';
import { cudaDevices, loadCuda } from '../device/cuda.ts';
import type { Device } from '../device/devices.ts';
import { loadOpenCL, openCLDevices } from '../device/opencl.ts';
import { adapterInfo, openGpu } from '../device/webgpu.ts';

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

const found: Device[] = [];
const reasons: Record<string, string> = {};
for (const kind of (process.argv[2] ?? '').split(',').filter(Boolean))
  try {
    found.push(...((await probes[kind]?.()) ?? []));
  } catch (error) {
    reasons[kind] = messageOf(error);
  }
process.stdout.write(JSON.stringify({ devices: found, reasons }), () => process.exit());
