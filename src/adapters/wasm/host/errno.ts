/** Error numbers of WASI preview 1, by the names of its specification. */
export const errno = {
  success: 0,
  badf: 8,
  fault: 21,
  inval: 28,
  nosys: 52,
  notdir: 54,
  notsock: 57,
  notsup: 58,
  notty: 59,
  spipe: 70,
  notcapable: 76,
} as const;
