import { messageOf } from "../errors/mod.ts";

/** What a container whose process cannot be started ends with: 127 not found, 126 cannot be run, 125 anything else. */
export interface CreateFailure {
  readonly exitCode: 125 | 126 | 127;
  readonly message: string;
}

/** crun's words for what Docker's clients know in runc's; `$1` is the program. */
const crunWords: readonly (readonly [RegExp, string])[] = [
  [
    /executable file `(\.{0,2}\/[^`]*|[^`]*\/[^`]*)` not found in \$PATH: No such file or directory/,
    'exec: "$1": stat $1: no such file or directory',
  ],
  [
    /executable file `([^`]*)` not found in \$PATH(?:: No such file or directory)?/,
    'exec: "$1": executable file not found in $PATH',
  ],
  [/open executable: (?:Permission denied|Operation not permitted)/, "exec: permission denied"],
  [/exec(?: container process)?(?: \([^)]*\))? `([^`]*)`: (.*)/, 'exec: "$1": $2'],
  [/(?:chdir to|chdir) `([^`]*)`: (.*)/, 'chdir to cwd ("$1") set in config.json failed: $2'],
];

/**
 * Turns what `create` or `exec` of either runtime threw into dockerd's message and the exit code that it stands for. Clients
 * look for "executable file not found in $PATH", "no such file or directory" and "permission denied" in it.
 */
export function createFailure(failure: unknown, program?: string): CreateFailure {
  const said = messageOf(failure).trim();
  if (said.startsWith("failed to create task")) return { exitCode: codeOf(said), message: said };
  const inner = dockerWords(said).replace(
    "exec: permission denied",
    program ? `exec: ${JSON.stringify(program)}: permission denied` : "exec: permission denied",
  );
  const message = `failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ${inner}: unknown`;
  return { exitCode: codeOf(message), message };
}

/** The same for a process in a running container: Docker puts it in front of the exec's own message. */
export function execFailure(failure: unknown, program?: string): CreateFailure {
  const { exitCode, message } = createFailure(failure, program);
  const inner = message.slice(message.indexOf("runc create failed: ") + "runc create failed: ".length);
  return { exitCode, message: `OCI runtime exec failed: exec failed: ${inner}` };
}

function dockerWords(said: string): string {
  const bare = said
    .replace(/^time="[^"]*" level=error msg="(.*)"$/s, (_, message: string) => message.replaceAll('\\"', '"'))
    .replace(/^(?:runc (?:create|run|exec) failed: |exec failed: )/, "");
  for (const [pattern, words] of crunWords) if (pattern.test(bare)) return started(bare.replace(pattern, words));
  return started(bare);
}

function started(message: string): string {
  const lead = "unable to start container process: ";
  const tail = message.replace(
    /: (No such file or directory|Permission denied|Not a directory|Exec format error|Operation not permitted)$/,
    (end) => end.toLowerCase(),
  );
  return tail.startsWith(lead) ? tail : lead + tail;
}

/** moby `daemon/errors.go`, `setExitCodeFromError`. */
function codeOf(message: string): 125 | 126 | 127 {
  const text = message.toLowerCase();
  if (text.includes("permission denied") || text.includes("is a directory")) return 126;
  if (text.includes("exec format error")) return 126;
  if (text.includes("executable file not found") || text.includes("no such file or directory")) return 127;
  return text.includes("not a directory") ? 127 : 125;
}
