/**
 * mount(2) takes at most one page of options, and 128 absolute directory names do not fit. They all lie under one
 * directory, so the names can be relative to it, with that directory as the working directory of the mounting thread.
 */
export interface CompactOverlay {
  /** To be the working directory during the mount. */
  readonly base: string;
  readonly data: string;
}

/** The same overlay options with directories relative to the deepest directory that holds them all; undefined when there is none but "/". */
export function compactOverlay(data: readonly string[]): CompactOverlay | undefined {
  const parsed = data.map(parseOption);
  const names = parsed.flatMap((option) => option.directories ?? []);
  const base = commonDirectory(names);
  if (base === "/") return undefined;
  const relative = parsed.map(({ text, key, directories }) =>
    directories ? `${key}=${directories.map((name) => name.slice(base.length)).join(":")}` : text,
  );
  return { base: unescaped(base), data: relative.join(",") };
}

interface Option {
  readonly text: string;
  readonly key: string;
  /** Still escaped, as overlayfs wants them back. */
  readonly directories?: readonly string[];
}

function parseOption(text: string): Option {
  const [, key = "", value = ""] = /^(lowerdir|upperdir|workdir)=(.*)$/s.exec(text) ?? [];
  if (key === "") return { text, key };
  return { text, key, directories: key === "lowerdir" ? splitLower(value) : [value] };
}

/** Colons separate; a backslash keeps the next character from doing so (Documentation/filesystems/overlayfs.rst). */
function splitLower(value: string): string[] {
  return value.match(/(?:\\.|[^:\\])+/gs) ?? [];
}

function unescaped(name: string): string {
  return name.replace(/\\(.)/gs, "$1");
}

/** Ends with a slash. */
function commonDirectory(names: readonly string[]): string {
  const [first = "/", ...others] = names;
  let base = first.slice(0, first.lastIndexOf("/") + 1);
  for (const name of others) {
    while (base !== "/" && !name.startsWith(base)) base = base.slice(0, base.lastIndexOf("/", base.length - 2) + 1);
  }
  return base.startsWith("/") && names.every((name) => name.startsWith(base)) ? base : "/";
}
