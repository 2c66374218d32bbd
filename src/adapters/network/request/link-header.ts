/** The target of the first link with a relation, of a Link header (RFC 8288). */
export function linkTo(header: string | string[] | undefined, relation: string): string | undefined {
  if (typeof header !== 'string') return undefined;
  let at = 0;
  for (;;) {
    const from = header.indexOf('<', at);
    const to = from < 0 ? -1 : header.indexOf('>', from);
    if (to < 0) return undefined;
    const end = endOfParams(header, to + 1);
    if (relationsOf(header.slice(to + 1, end)).includes(relation.toLowerCase())) return header.slice(from + 1, to);
    at = end;
  }
}

/** The comma after a link's parameters: one that is not within quotes. */
function endOfParams(text: string, from: number): number {
  let quoted = false;
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '"') quoted = !quoted;
    else if (text[at] === ',' && !quoted) return at;
  }
  return text.length;
}

function relationsOf(params: string): string[] {
  const [, quoted, plain] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;"]+))/i.exec(params) ?? [];
  return (quoted ?? plain ?? '').toLowerCase().split(/\s+/);
}
