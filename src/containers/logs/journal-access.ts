import { existsSync } from "node:fs";
import { EngineError } from "../../errors/mod.ts";

/** The host's journal, as far as this program can tell. */
export interface JournalAccess {
  /** Where journald listens. */
  readonly socket: string;
  /** Full path of journalctl(1); undefined when it is not installed. */
  readonly program: string | undefined;
}

export function findJournal(): JournalAccess {
  return { socket: "/run/systemd/journal/socket", program: Bun.which("journalctl") ?? undefined };
}

/** Throws "invalid" where there is no journal, "not-implemented" for what conmon does not write into one. */
export function refuseJournal({ socket, program }: JournalAccess, options: Readonly<Record<string, string>>): void {
  const failed = "failed to initialize logging driver: journald is not enabled on this host";
  if (!existsSync(socket)) throw new EngineError("invalid", `${failed}: there is no ${socket}`);
  if (program === undefined) throw new EngineError("invalid", `${failed}: journalctl is not installed`);
  for (const name of ["labels", "labels-regex", "env", "env-regex"]) {
    if (options[name] === undefined) continue;
    const why = "conmon writes no fields of the user's own into the journal";
    throw new EngineError("not-implemented", `log opt '${name}' is not implemented for journald log driver: ${why}`);
  }
}
