import { StepError } from '../../../lib/errors.ts';
import type { LogLine } from '../types.ts';
import type { HostFunctions, HostState } from './state.ts';

/** Extism numbers its levels from 0, trace, to 4, error; here the least is debug. */
const logLevel = 1;

const noNetwork = (): never => {
  throw new StepError(
    'IMPORT_UNSUPPORTED',
    'the plug-in made an HTTP request, which modules may not; fetch the data in a network step before, and pass it as the input',
  );
};

const log =
  (level: LogLine['level']) =>
  (host: HostState, handle: bigint): void => {
    host.logs.add(level, text(host, handle));
  };

function text(host: HostState, handle: bigint): string {
  host.chargeBytes(host.kernel.length(handle));
  return host.kernel.text(handle);
}

/** The handle of what the host put into a block of its own. */
function paid(host: HostState, handle: bigint): bigint {
  host.chargeBytes(host.kernel.length(handle));
  return handle;
}

function configured(host: HostState, key: bigint): bigint {
  const name = text(host, key);
  const value = Object.hasOwn(host.settings.config, name) ? host.settings.config[name] : undefined;
  return value === undefined ? 0n : paid(host, host.kernel.put(Buffer.from(value)));
}

/** `extism:host/env`: names and types as in Extism's kernel (kernel/src/lib.rs) and runtime (runtime/src/plugin.rs). */
export const extismFunctions: HostFunctions = {
  'alloc j:j': (host, length: bigint) => paid(host, host.kernel.alloc(length)),
  'free j:': (host, handle: bigint) => host.kernel.free(handle),
  'length j:j': (host, handle: bigint) => BigInt(host.kernel.length(handle)),
  'length_unsafe j:j': (host, handle: bigint) => BigInt(host.kernel.length(handle)),
  'load_u8 j:i': (host, address: bigint) => host.kernel.load8(address),
  'load_u64 j:j': (host, address: bigint) => host.kernel.load64(address),
  'store_u8 ji:': (host, address: bigint, value: number) => host.kernel.store8(address, value),
  'store_u64 jj:': (host, address: bigint, value: bigint) => host.kernel.store64(address, value),
  'input_length :j': (host) => BigInt(host.settings.input.length),
  'input_offset :j': (host) => {
    host.chargeBytes(host.settings.input.length);
    return host.kernel.inputOffset;
  },
  'input_load_u8 j:i': (host, offset: bigint) => host.settings.input[Number(BigInt.asUintN(64, offset))] ?? 0,
  'input_load_u64 j:j': (host, offset: bigint) => {
    const { input } = host.settings;
    const at = Number(BigInt.asUintN(64, offset));
    if (at + 8 > input.length) return 0n;
    return new DataView(input.buffer, input.byteOffset, input.length).getBigUint64(at, true);
  },
  'output_set jj:': (host, address: bigint, length: bigint) => host.kernel.setOutput(address, length),
  'output_offset :j': (host) => host.kernel.outputOffset,
  'output_length :j': (host) => host.kernel.outputLength,
  'error_set j:': (host, handle: bigint) => host.kernel.setError(handle),
  'error_get :j': (host) => host.kernel.errorHandle,
  'memory_bytes :j': (host) => BigInt(host.kernel.size),
  'config_get j:j': configured,
  'var_get j:j': (host, key: bigint) => paid(host, host.kernel.variable(text(host, key))),
  'var_set jj:': (host, key: bigint, value: bigint) => {
    host.chargeBytes(host.kernel.length(value));
    host.kernel.setVariable(text(host, key), value);
  },
  'http_request jj:j': noNetwork,
  'http_status_code :i': () => 0,
  'http_headers :j': () => 0n,
  'get_log_level :i': () => logLevel,
  'log_trace j:': log('debug'),
  'log_debug j:': log('debug'),
  'log_info j:': log('info'),
  'log_warn j:': log('warn'),
  'log_error j:': log('error'),
};
