import type { HostFunctions, HostState } from './state.ts';

const tmBytes = 40;
const msPerDay = 86_400_000;
/** Seconds that JavaScript's calendar reaches to either side of 1970. */
const secondsMax = 8_640_000_000_000n;

/** A `struct tm` in UTC, the only time zone here. */
function calendar(host: HostState, seconds: bigint, pointer: number): number {
  const within = seconds > secondsMax ? secondsMax : seconds < -secondsMax ? -secondsMax : seconds;
  const date = new Date(Number(within) * 1000);
  const year = date.getUTCFullYear();
  const day = Math.floor((date.getTime() - Date.UTC(year, 0, 1)) / msPerDay);
  const view = host.memory.view(pointer, tmBytes);
  [
    date.getUTCSeconds(),
    date.getUTCMinutes(),
    date.getUTCHours(),
    date.getUTCDate(),
    date.getUTCMonth(),
    year - 1900,
    date.getUTCDay(),
    day,
    0,
    0,
  ].forEach((value, index) => {
    view.setInt32(4 * index, value, true);
  });
  return 0;
}

function seconds(host: HostState, pointer: number): bigint {
  const view = host.memory.view(pointer, tmBytes);
  const [second, minute, hour, day, month, year] = [0, 4, 8, 12, 16, 20].map((at) => view.getInt32(at, true)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(0);
  date.setUTCFullYear(year + 1900, month, day);
  date.setUTCHours(hour, minute, second);
  const time = date.getTime();
  if (Number.isNaN(time)) return -1n;
  const result = BigInt(Math.floor(time / 1000));
  calendar(host, result, pointer);
  return result;
}

function timeZone(host: HostState, zone: number, daylight: number, standard: number, summer: number): void {
  const name = Buffer.from('UTC\0');
  for (const pointer of [zone, daylight, standard, summer]) host.memory.at(pointer, 4);
  host.memory.setU32(zone, 0);
  host.memory.setU32(daylight, 0);
  host.memory.at(standard, 4).set(name);
  host.memory.at(summer, 4).set(name);
}

/** Emscripten's calendar, in UTC. */
export const emscriptenTimeFunctions: HostFunctions = {
  'emscripten_date_now :d': (host) => host.clock.realtimeMs,
  'emscripten_get_now :d': (host) => host.clock.monotonicMs,
  'emscripten_get_now_res :d': () => 1e-6,
  '_emscripten_get_now_is_monotonic :i': () => 1,
  '_gmtime_js ji:': calendar,
  '_gmtime_js ji:i': calendar,
  '_localtime_js ji:': calendar,
  '_localtime_js ji:i': calendar,
  '_mktime_js i:j': seconds,
  '_timegm_js i:j': seconds,
  '_tzset_js iiii:': timeZone,
};
