import type { Healthcheck } from "../../oci/mod.ts";
import type { Command } from "../dockerfile/arguments.ts";
import { shellWords } from "../dockerfile/expand.ts";
import type {
  CommandInstruction,
  EnvInstruction,
  HealthcheckInstruction,
  LabelInstruction,
  ListInstruction,
  OnbuildInstruction,
  ShellInstruction,
  WordInstruction,
} from "../dockerfile/instructions.ts";
import type { Steps } from "../dockerfile/slices.ts";
import { portSpec } from "./ports.ts";
import { checkSignal } from "./signal.ts";
import { expander, located, type StageState, setVariable, shellOf } from "./stage.ts";

/** Instructions that change the configuration alone. Each but ONBUILD leaves a history entry without a layer. */
export function note(stage: StageState, createdBy: string): void {
  stage.history.push({ createdBy });
}

export function applyEnv(stage: StageState, instruction: EnvInstruction): void {
  const { word } = expander(instruction, stage.env);
  const set = instruction.pairs.map(({ name, value }) => ({ name: word(name), value: word(value) }));
  for (const { name, value } of set) {
    stage.imageEnv.set(name, value);
    setVariable(stage, instruction, { name, value });
  }
  note(stage, `ENV ${set.map(({ name, value }) => `${name}=${value}`).join(" ")}`);
}

/** There may be tens of thousands in one instruction. */
export function* applyLabel(stage: StageState, instruction: LabelInstruction): Steps<void> {
  const { word } = expander(instruction, stage.env);
  const set: (readonly [string, string])[] = [];
  for (const { name, value } of instruction.pairs) {
    set.push([word(name), word(value)]);
    yield;
  }
  addLabels(stage, set);
}

export function addLabels(stage: StageState, set: readonly (readonly [string, string])[]): void {
  for (const [name, value] of set) stage.labels.set(name, value);
  note(stage, `LABEL ${set.map(([name, value]) => `${name}=${value}`).join(" ")}`);
}

export function applyCommand(stage: StageState, instruction: CommandInstruction): void {
  const words = commandWords(stage, instruction.command);
  const text = `${instruction.kind.toUpperCase()} ${quotedList(words)}`;
  if (instruction.kind === "cmd") {
    stage.config.Cmd = words;
    stage.cmdSet = true;
  } else {
    stage.config.Entrypoint = words.length > 0 ? words : null;
    if (!stage.cmdSet) stage.config.Cmd = null;
  }
  note(stage, text);
}

/** Go's `%q` of a list, which the history has always had. */
function quotedList(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(" ")}]`;
}

/** Shell form goes through the shell of the moment. */
export function commandWords(stage: StageState, command: Command): string[] {
  return command.form === "exec" ? [...command.words] : [...shellOf(stage), ...command.words];
}

export function applyList(stage: StageState, instruction: ListInstruction): void {
  if (instruction.kind === "expose") applyExpose(stage, instruction);
  else applyVolume(stage, instruction);
}

function applyExpose(stage: StageState, instruction: ListInstruction): void {
  const { options } = expander(instruction, stage.env);
  const written = instruction.words.toSorted();
  const ports = located(instruction, () =>
    written.flatMap((word) => shellWords(word, options)).flatMap((word) => portSpec(word).ports()),
  );
  for (const port of ports) stage.ports.add(port);
  note(stage, `EXPOSE [${ports.join(" ")}]`);
}

function applyVolume(stage: StageState, instruction: ListInstruction): void {
  const { word } = expander(instruction, stage.env);
  const volumes = instruction.words.map((name) => word(name));
  if (volumes.some((name) => name === "")) {
    located(instruction, () => {
      throw new Error("VOLUME specified can not be an empty string");
    });
  }
  for (const name of volumes) stage.volumes.add(name);
  note(stage, `VOLUME [${volumes.join(" ")}]`);
}

/** USER, STOPSIGNAL and MAINTAINER; WORKDIR also makes a directory, which is the graph's business. */
export function applyWord(stage: StageState, instruction: WordInstruction): void {
  const { word } = expander(instruction, stage.env);
  switch (instruction.kind) {
    case "user":
      stage.config.User = word(instruction.word);
      note(stage, `USER ${stage.config.User}`);
      break;
    case "stopsignal": {
      const name = word(instruction.word);
      located(instruction, () => checkSignal(name));
      stage.config.StopSignal = name;
      note(stage, `STOPSIGNAL ${name}`);
      break;
    }
    case "maintainer":
      stage.author = instruction.word;
      note(stage, `MAINTAINER ${instruction.word}`);
      break;
    case "workdir":
      break;
    default:
      instruction.kind satisfies never;
  }
}

export function applyHealthcheck(stage: StageState, instruction: HealthcheckInstruction): void {
  const { command, check } = instruction;
  const test = !command
    ? ["NONE"]
    : command.form === "exec"
      ? ["CMD", ...command.words]
      : ["CMD-SHELL", ...command.words];
  stage.config.Healthcheck = { Test: test, ...check };
  note(stage, `HEALTHCHECK ${shownCheck({ Test: test, ...check })}`);
}

/** Go's `%+v` of the check, as BuildKit writes it. */
function shownCheck(check: Healthcheck): string {
  const times = (["Interval", "Timeout", "StartPeriod", "StartInterval"] as const).map(
    (name) => `${name}:${goDuration(check[name] ?? 0)}`,
  );
  return `{Test:[${(check.Test ?? []).join(" ")}] ${times.join(" ")} Retries:${check.Retries ?? 0}}`;
}

/** Nanoseconds as Go's `time.Duration.String` has them, such as 1m30s or 1.5s. */
function goDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e9) return nanoseconds < 1e6 ? `${nanoseconds / 1e3}µs` : `${nanoseconds / 1e6}ms`;
  const total = Math.floor(nanoseconds / 1e9);
  const [hours, minutes] = [Math.floor(total / 3600), Math.floor(total / 60) % 60];
  const rest = nanoseconds % 1e9;
  const fraction = rest === 0 ? "" : `.${String(rest).padStart(9, "0").replace(/0+$/, "")}`;
  return `${hours > 0 ? `${hours}h` : ""}${total >= 60 ? `${minutes}m` : ""}${total % 60}${fraction}s`;
}

export function applyShell(stage: StageState, instruction: ShellInstruction): void {
  stage.config.Shell = instruction.words;
  note(stage, `SHELL [${instruction.words.join(" ")}]`);
}

export function applyOnbuild(stage: StageState, instruction: OnbuildInstruction): void {
  stage.config.OnBuild ??= []; // the stage's own: it began without any
  stage.config.OnBuild.push(instruction.trigger);
}
