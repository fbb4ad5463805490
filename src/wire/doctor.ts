/** `GET /system/doctor`: what the daemon found out about its host. */
export interface DoctorReport {
  readonly Version: string;
  readonly Checks: readonly DoctorCheck[];
}

export interface DoctorCheck {
  /** In one word or two, the same with every report: `cgroups`, `published ports`. */
  readonly Name: string;
  readonly Verdict: DoctorVerdict;
  /** What was found. */
  readonly Message: string;
  /** What to do about it; where nothing is to be done it is left out. */
  readonly Advice?: string;
}

/** `warning`: it works, but something that people expect does not; `problem`: containers fail or are not reached. */
export type DoctorVerdict = "ok" | "warning" | "problem";
