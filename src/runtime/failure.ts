import { EngineError, messageOf } from "../errors/mod.ts";

/** What a process that could not be started ends with: 127 not found, 126 cannot be run, 128 anything else (moby `daemon/errors.go`). */
export interface CreateFailure {
  readonly exitCode: 126 | 127 | 128;
  readonly message: string;
}

export interface Failed {
  /** What the runtime wrote. */
  readonly said: string;
  /** args[0], which crun leaves out of some messages. */
  readonly program: string;
  readonly kind: "container" | "exec";
}

const prefixes = {
  container:
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ",
  exec: "OCI runtime exec failed: exec failed: ",
} as const;

/**
 * dockerd's error for a container or exec whose process could not be started, out of either runtime's message. Clients look
 * for "executable file not found in $PATH", "no such file or directory" and "permission denied" in it.
 */
export function startError(failed: Failed): EngineError {
  const words = `${prefixes[failed.kind]}${inRuncsWords(failed)}: unknown`;
  const message = failed.kind === "container" && /not a directory/.test(words) ? words + mismatch : words;
  return new EngineError(codeOf(message) === 128 ? "internal" : "invalid", message);
}

/** The exit code that stands for an error of `create` or `exec`; undefined when it is another error. */
export function createFailure(err: unknown): CreateFailure | undefined {
  const message = messageOf(err);
  if (!Object.values(prefixes).some((prefix) => message.includes(prefix))) return undefined;
  return { exitCode: codeOf(message), message };
}

/** What moby adds where a file was to be mounted on a directory, or a directory on a file. */
const mismatch =
  ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type";

/** crun's words and runc's for the same; `$1`, `$2` are the parts of the match, `%` the program. */
const crunWords: readonly (readonly [RegExp, string])[] = [
  [/executable file `([^`]*\/[^`]*)` not found in \$PATH.*/s, 'exec: "$1": stat $1: no such file or directory'],
  [/executable file `([^`]*)` not found in \$PATH.*/s, 'exec: "$1": executable file not found in $PATH'],
  [/open executable: (?:Permission denied|Operation not permitted)/, "exec: %: permission denied"],
  [/^chdir `([^`]*)`: (.*)/s, 'chdir to cwd ("$1") set in config.json failed: $2'],
  [
    /write (?:to |file )?`\/proc\/[^`]*\/attr\/(?:apparmor\/)?exec`/,
    "error during container init: unable to apply apparmor profile: apparmor failed to apply profile: write /proc/self/attr/apparmor/exec",
  ],
  [
    /^mount `([^`]*)` to `\/?([^`]*)`: (.*)/s,
    'error during container init: error mounting "$1" to rootfs at "/$2": $3',
  ],
  [/exec(?: container process)?(?: \([^)]*\))? `([^`]*)`: (.*)/, 'exec: "$1": $2'],
];

function inRuncsWords({ said, program }: Failed): string {
  const bare = unwrapped(said);
  const rule = crunWords.find(([pattern]) => pattern.test(bare));
  const words = rule ? bare.replace(rule[0], rule[1]).replace("%", () => JSON.stringify(program)) : bare;
  const lead = "unable to start container process: ";
  // Go writes errno's text in lower case, C in upper case.
  const text = words.replace(/: [A-Z][a-z]+(?: [a-z]+)*$/, (end) => end.toLowerCase());
  return text.startsWith(lead) ? text : lead + text;
}

/** runc logs its error as logfmt, behind the name of the step that failed; it may say several lines, the last is the reason. */
function unwrapped(said: string): string {
  const last = said.trim().split("\n").at(-1) ?? "";
  return last
    .replace(/^time="[^"]*" level=error msg="(.*)"$/, (_, message: string) => message.replaceAll('\\"', '"'))
    .replace(/^(?:runc (?:create|run|exec) failed: |exec failed: )+/, "");
}

/** moby `daemon/errors.go`, `setExitCodeFromError`. */
function codeOf(message: string): CreateFailure["exitCode"] {
  const text = message.toLowerCase();
  if (/permission denied|is a directory|exec format error/.test(text)) return 126;
  return /executable file not found|no such file or directory|not a directory/.test(text) ? 127 : 128;
}
