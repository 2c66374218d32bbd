/** RFC 3339 in UTC with milliseconds, from ms since 1970. A pure conversion: nothing here reads a clock. */
export const isoTime = (ms: number): string => new Date(ms).toISOString();
