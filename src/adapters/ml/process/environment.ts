/** Of the environment, what tells native libraries where things are, and nothing else: there may be secrets. */
const variables =
  /^(PATH|HOME|TMPDIR|TEMP|TMP|LANG|LC_\w+|XDG_CACHE_HOME|XDG_RUNTIME_DIR|SystemRoot|windir|LOCALAPPDATA|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|CUDA_\w+|NVIDIA_\w+|OCL_ICD_\w+|OPENCL_\w+|POCL_\w+|VK_\w+|MESA_\w+|LIBGL_\w+|JSONFLOW_NVRTC)$/;

/** The environment of a child program. */
export const childEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => variables.test(name)));
