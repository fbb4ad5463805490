import type { Healthcheck } from "../../oci/mod.ts";
import type { Command, Pair } from "./arguments.ts";
import type { Lines } from "./error.ts";
import type { Heredoc } from "./heredoc.ts";
import type { MountFields } from "./mount.ts";
import type { Node } from "./parse.ts";

/** Typed instructions: validated as far as a Dockerfile alone allows, words not yet expanded. */
export type Instruction =
  | FromInstruction
  | ArgInstruction
  | RunInstruction
  | CopyInstruction
  | EnvInstruction
  | LabelInstruction
  | CommandInstruction
  | ListInstruction
  | WordInstruction
  | HealthcheckInstruction
  | ShellInstruction
  | OnbuildInstruction;

/** Where an instruction stands and how it reads. */
export interface Place extends Lines {
  /** The joined line, as `Step 1/3 : …` shows it. */
  readonly original: string;
  readonly escape: string;
  /** The keyword as it was written. */
  readonly spelled: string;
  /** Comments right above. */
  readonly comments: readonly string[];
}

export function placeOf({ original, line, endLine, spelled, comments, ...node }: Node): Place {
  return { original, line, endLine, escape: node.escape, spelled, comments };
}

export interface FromInstruction extends Place {
  readonly kind: "from";
  readonly image: string;
  /** Lower case. */
  readonly name?: string;
  /** `AS` and the name as they were written. */
  readonly as?: { readonly keyword: string; readonly name: string };
  readonly platform?: string;
}

export interface ArgInstruction extends Place {
  readonly kind: "arg";
  readonly args: readonly { readonly name: string; readonly value?: string }[];
}

export interface RunInstruction extends Place {
  readonly kind: "run";
  readonly command: Command;
  readonly heredocs: readonly Heredoc[];
  /** Their words are not expanded yet. */
  readonly mounts: readonly MountFields[];
  readonly network: "default" | "none" | "host";
}

export interface CopyInstruction extends Place {
  readonly kind: "copy";
  readonly keyword: "COPY" | "ADD";
  readonly sources: readonly CopySource[];
  readonly destination: string;
  readonly from?: string;
  readonly chown?: string;
  readonly chmod?: string;
  readonly checksum?: string;
  readonly link: boolean;
  readonly parents: boolean;
  readonly exclude: readonly string[];
  /** ADD --unpack; undefined means local archives only. */
  readonly unpack?: boolean;
  /** ADD --keep-git-dir; undefined leaves it to the repository's URL. */
  readonly keepGitDir?: boolean;
}

export type CopySource =
  | { readonly kind: "path"; readonly path: string }
  | { readonly kind: "heredoc"; readonly heredoc: Heredoc };

export interface EnvInstruction extends Place {
  readonly kind: "env";
  readonly pairs: readonly Pair[];
  /** `ENV name value` */
  readonly legacy: boolean;
}

export interface LabelInstruction extends Place {
  readonly kind: "label";
  readonly pairs: readonly Pair[];
  readonly legacy: boolean;
}

export interface CommandInstruction extends Place {
  readonly kind: "cmd" | "entrypoint";
  readonly command: Command;
}

export interface ListInstruction extends Place {
  readonly kind: "expose" | "volume";
  readonly words: readonly string[];
}

export interface WordInstruction extends Place {
  readonly kind: "workdir" | "user" | "stopsignal" | "maintainer";
  readonly word: string;
}

export interface HealthcheckInstruction extends Place {
  readonly kind: "healthcheck";
  readonly check: Omit<Healthcheck, "Test">;
  /** undefined for NONE. */
  readonly command?: Command;
}

export interface ShellInstruction extends Place {
  readonly kind: "shell";
  readonly words: readonly string[];
}

export interface OnbuildInstruction extends Place {
  readonly kind: "onbuild";
  readonly trigger: string;
}
