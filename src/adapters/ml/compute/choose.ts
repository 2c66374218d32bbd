import { StepError } from '../../../lib/errors.ts';
import type { Device, Probe } from '../device/devices.ts';
import type { Language } from './request.ts';

/** What a language runs on, best first. */
const kinds: Readonly<Record<Language, readonly Device['kind'][]>> = {
  cuda: ['cuda', 'opencl'],
  opencl: ['opencl'],
  wgsl: ['webgpu'],
};

const remedies: Readonly<Record<Language, string>> = {
  cuda: 'install the driver of an NVIDIA GPU, or an OpenCL driver such as PoCL (Debian: pocl-opencl-icd) to run it on the processor, and the package koffi',
  opencl:
    "install the device's OpenCL driver, or PoCL (Debian: pocl-opencl-icd) to run it on the processor, and the package koffi",
  wgsl: 'install a driver for Vulkan (Debian: mesa-vulkan-drivers), and the package webgpu',
};

export interface Wish {
  language: Language;
  /** Id or kind, `gpu` or `cpu`, as the step states it. */
  device: string | undefined;
  /** Whether the step reserves a GPU: then no processor will do. */
  needsGpu: boolean;
}

const isNamed = ({ id, kind, isGpu }: Device, name: string): boolean =>
  name === id || name === kind || name === (isGpu ? 'gpu' : 'cpu');

/** A GPU is used by steps that reserve or name one, and no others. @throws StepError ML_NO_GPU, ML_NO_DEVICE */
export function chooseDevice({ devices, reasons, silent = [] }: Probe, { language, device, needsGpu }: Wish): Device {
  const able = kinds[language].flatMap((kind) => devices.filter((candidate) => candidate.kind === kind));
  if (device === undefined && !needsGpu && able.length > 0) return processorOf(able, language);
  const named = able.filter((candidate) => device === undefined || isNamed(candidate, device));
  const chosen = named.find(({ isGpu }) => isGpu) ?? named[0];
  if (chosen?.isGpu === true || (chosen !== undefined && !needsGpu)) return chosen;
  if (chosen !== undefined)
    throw new StepError(
      'ML_NO_GPU',
      `the step reserves a GPU, and ${language} runs on none here (${chosen.name} is a processor); leave out resource_requirements.gpu to run it there`,
    );
  const code = needsGpu || device === 'gpu' ? 'ML_NO_GPU' : 'ML_NO_DEVICE';
  if (device !== undefined && able.length > 0)
    throw new StepError(
      code,
      `params.device "${device}" is no device for ${language} here; there are ${able.map(({ id, name }) => `${id} (${name})`).join(', ')}`,
    );
  const why = kinds[language].flatMap((kind) => reasons[kind] ?? []).join('; ');
  throw new StepError(code, `nothing here runs ${language}${why === '' ? '' : `: ${why}`}; ${remedies[language]}`, {
    // It may answer the next time.
    retryable: kinds[language].some((kind) => silent.includes(kind)),
  });
}

function processorOf(able: readonly Device[], language: Language): Device {
  const processor = able.find(({ isGpu }) => !isGpu);
  if (processor !== undefined) return processor;
  throw new StepError(
    'ML_NO_DEVICE',
    `${language} runs on no processor here, and the step reserves no GPU: give it "resource_requirements": { "gpu": true }, or params.device (${able.map(({ id, name }) => `${id}, ${name}`).join('; ')})`,
  );
}
