/** One step into a JSON value: a key of an object or an index of an array. */
export type PathSegment = string | number;
export type JSONPath = readonly PathSegment[];

const plainKey = /^[\p{L}_][\p{L}\p{N}_-]*$/u;

/** A path for people, such as `steps[3].params.input` or `headers["content type"]`, below `root`; without either `(root)`. */
export function formatPath(path: JSONPath, root = ''): string {
  let text = root;
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${segment}]`;
    else if (plainKey.test(segment)) text += text === '' ? segment : `.${segment}`;
    else text += `[${JSON.stringify(segment)}]`;
  }
  return text === '' ? '(root)' : text;
}
