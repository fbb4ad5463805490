import type { DoctorCheck } from "../../wire/mod.ts";

export function ok(Name: string, Message: string): DoctorCheck {
  return { Name, Verdict: "ok", Message };
}

export function warning(Name: string, Message: string, Advice?: string): DoctorCheck {
  return { Name, Verdict: "warning", Message, ...(Advice !== undefined && { Advice }) };
}

export function problem(Name: string, Message: string, Advice: string): DoctorCheck {
  return { Name, Verdict: "problem", Message, Advice };
}
