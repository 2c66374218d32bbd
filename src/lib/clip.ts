/** The beginning of a text, well-formed however it was cut or made: a lone surrogate can't be signed. @param max UTF-16 units */
export const clip = (text: string, max: number): string => text.slice(0, max).toWellFormed();
