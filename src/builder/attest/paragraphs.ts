import { fieldLimit } from "./package.ts";

export type Paragraph = ReadonlyMap<string, string>;

/**
 * Paragraphs of `Name: value` lines with an empty line between them, as dpkg, apk and python's metadata are written. Only the
 * fields that are asked for are kept, their first lines, and of those no more than {@link fieldLimit} and one characters, so
 * that a field that is too long is seen to be.
 */
export function* paragraphs(text: string, wanted: ReadonlySet<string>): Generator<Paragraph> {
  let fields = new Map<string, string>();
  let isEmpty = true;
  for (const line of linesOf(text)) {
    if (line === "" || line === "\r") {
      if (!isEmpty) yield fields;
      fields = new Map();
      isEmpty = true;
      continue;
    }
    isEmpty = false;
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.min(Math.max(colon, 0), 100));
    if (!wanted.has(name) || fields.has(name)) continue;
    fields.set(
      name,
      line
        .slice(colon + 1, colon + 3 + fieldLimit)
        .trim()
        .slice(0, fieldLimit + 1),
    );
  }
  if (!isEmpty) yield fields;
}

/** Without an array of all of them. */
function* linesOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\n", at);
    yield text.slice(at, end < 0 ? text.length : end);
    at = end < 0 ? text.length : end + 1;
  }
}
