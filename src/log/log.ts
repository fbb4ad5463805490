/** Leveled log lines with fields, one line each: `time=… level=info msg="…" container=ab12`. */
export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** The same log with these fields on every line. */
  with(fields: Fields): Log;
}

export type Fields = Readonly<Record<string, unknown>>;
export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** A log that writes lines of `level` and above with `write` (which gets the line with its newline). */
export function createLog(level: LogLevel, write: (line: string) => void, base: Fields = {}): Log {
  const emit = (at: LogLevel, message: string, fields: Fields = {}) => {
    if (logLevels.indexOf(at) < logLevels.indexOf(level)) return;
    write(format(at, message, { ...base, ...fields }));
  };
  return {
    debug: (message, fields) => emit("debug", message, fields),
    info: (message, fields) => emit("info", message, fields),
    warn: (message, fields) => emit("warn", message, fields),
    error: (message, fields) => emit("error", message, fields),
    with: (fields) => createLog(level, write, { ...base, ...fields }),
  };
}

/** For tests: swallows everything. */
export const nullLog: Log = createLog("error", () => undefined);

function format(level: LogLevel, message: string, fields: Fields): string {
  const parts = [`time=${new Date().toISOString()}`, `level=${level}`, `msg=${quote(message)}`];
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) parts.push(`${key}=${quote(value instanceof Error ? value.message : String(value))}`);
  }
  return `${parts.join(" ")}\n`;
}

/** Quoted only where a space, quote, equals sign or control character asks for it (logfmt). */
function quote(value: string): string {
  return /^[^\s"=\p{Cc}]+$/u.test(value) ? value : JSON.stringify(value);
}
