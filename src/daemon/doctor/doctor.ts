import { version } from "../../version/mod.ts";
import type { DoctorCheck, DoctorReport } from "../../wire/mod.ts";
import type { DaemonConfig } from "../config.ts";
import type { Engine } from "../engine.ts";
import { gather } from "./gather.ts";
import { type KernelFacts, kernelChecks } from "./kernel.ts";
import { type MachineFacts, machineChecks } from "./machine.ts";
import { type NetworkingFacts, networkingChecks } from "./networking.ts";
import { type ProgramFacts, programChecks } from "./programs.ts";

/** All that the verdicts are made of, so that each is a function of what was found. */
export interface DoctorFacts {
  readonly kernel: KernelFacts;
  readonly programs: ProgramFacts;
  readonly networking: NetworkingFacts;
  readonly machine: MachineFacts;
}

/** Looks at the host and says for each of its parts whether containers can live with it. */
export async function examine(engine: Engine, config: DaemonConfig): Promise<DoctorReport> {
  return { Version: version, Checks: checks(await gather(engine, config)) };
}

export function checks({ kernel, programs, networking, machine }: DoctorFacts): DoctorCheck[] {
  return [
    ...kernelChecks(kernel),
    ...programChecks(programs),
    ...networkingChecks(networking),
    ...machineChecks(machine),
  ];
}
