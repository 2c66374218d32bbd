import { createRequire } from 'node:module';
import { messageOf, StepError } from '../../../lib/errors.ts';

const require = createRequire(import.meta.url);

/**
 * An optional package, in the process that needs it.
 * @param user who needs it, such as `ONNX models need`, for the error
 * @param install arguments of npm and what stands before it, for the error
 * @throws StepError ML_PACKAGE_MISSING where it isn't installed, or can't be loaded here
 */
export function optionalPackage<Package>(name: string, user: string, install = `npm install ${name}`): Package {
  try {
    return require(name) as Package;
  } catch (cause) {
    const isAbsent = (cause as { code?: unknown }).code === 'MODULE_NOT_FOUND';
    throw new StepError(
      'ML_PACKAGE_MISSING',
      isAbsent
        ? `${user} the package ${name}: install it with "${install}"`
        : `${user} the package ${name}, which can't be loaded here: ${messageOf(cause).slice(0, 500)}`,
      { cause },
    );
  }
}

type Ort = typeof import('onnxruntime-node');

/** @param user as of `optionalPackage` @throws StepError ML_PACKAGE_MISSING */
export const onnxRuntime = (user: string): Ort =>
  optionalPackage('onnxruntime-node', user, 'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node');
