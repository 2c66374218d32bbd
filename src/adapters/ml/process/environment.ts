/** Of the environment, what tells native libraries where things are, and nothing else: there may be secrets. */
const variables =
  /^(PATH|HOME|TMPDIR|TEMP|TMP|LANG|LC_\w+|XDG_CACHE_HOME|XDG_RUNTIME_DIR|SystemRoot|windir|LOCALAPPDATA|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|CUDA_\w+|NVIDIA_\w+|OCL_ICD_\w+|OPENCL_\w+|POCL_\w+|VK_\w+|MESA_\w+|LIBGL_\w+|JSONFLOW_NVRTC)$/;

/**
 * Since 1.29 ONNX Runtime reports models and machines to Microsoft where nobody forbids it, past the rules for egress, and each process leaves a
 * log in the temporary folder (github.com/microsoft/onnxruntime/pull/27379).
 */
const settings = { ORT_DISABLE_TELEMETRY: '1' };

/** The environment of a child program. */
export const childEnvironment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => variables.test(name))),
  ...settings,
});
