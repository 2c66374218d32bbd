import { existsSync } from 'node:fs';
import { lavapipe } from '../../../scripts/servers/lavapipe.ts';
import { nvrtcFile } from '../../../scripts/servers/nvrtc.ts';
import { type Device, probeDevices } from '../../../src/adapters/ml/device/devices.ts';

/**
 * Why tests that need a kind of device are skipped; false where there is one. With JSONFLOW_SERVICES=required those for OpenCL run anyway, and
 * fail: a driver can be had for every processor.
 */
export async function withoutDevice(kind: Device['kind']): Promise<string | false> {
  if (kind === 'webgpu') Object.assign(process.env, lavapipe());
  const { devices, reasons } = await probeDevices();
  if (devices.some((device) => device.kind === kind)) return false;
  const why = `there is no ${kind} device here${reasons[kind] === undefined ? '' : `: ${reasons[kind]}`}`;
  if (kind === 'opencl' && process.env.JSONFLOW_SERVICES === 'required') return false;
  console.error(`Skipped: ${why}`);
  return why;
}

/** Why tests that compile CUDA are skipped; false where NVIDIA's compiler is. */
export function withoutNvrtc(): string | false {
  if (existsSync(nvrtcFile)) process.env.JSONFLOW_NVRTC ??= nvrtcFile;
  return process.env.JSONFLOW_NVRTC === undefined && 'NVRTC is not installed: npm test gets it by pip';
}
