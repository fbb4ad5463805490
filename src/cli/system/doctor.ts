import { bool } from "../../flags/mod.ts";
import type { DoctorCheck, DoctorReport, DoctorVerdict } from "../../wire/mod.ts";
import { command } from "../command.ts";
import { colours, print } from "../io.ts";

export const doctor = command({
  name: "doctor",
  summary: "Look whether this host can run containers well, and say what to do",
  usage: "[OPTIONS]",
  examples: ["berth doctor", "berth doctor --quiet", "berth doctor --json"],
  flags: {
    json: bool("Print the report as JSON"),
    quiet: bool("Only show what is not in order", { short: "q" }),
  },
  args: { min: 0, max: 0 },
  async run({ flags, client }, io) {
    const report = await client.json<DoctorReport>({ method: "GET", path: "/system/doctor" });
    const text = flags.json
      ? `${JSON.stringify(report, null, 2)}\n`
      : reportText(report, { coloured: colours(io), quiet: flags.quiet });
    await print(io, text);
    return report.Checks.some(({ Verdict }) => Verdict === "problem") ? 1 : 0;
  },
});

const codes = { ok: 32, warning: 33, problem: 31 } as const satisfies Record<DoctorVerdict, number>;
const verdictWidth = Math.max(...Object.keys(codes).map((verdict) => verdict.length));

function reportText({ Checks }: DoctorReport, { coloured, quiet }: { coloured: boolean; quiet: boolean }): string {
  const shown = Checks.filter(({ Verdict }) => !quiet || Verdict !== "ok");
  const width = Math.max(0, ...shown.map(({ Name }) => Name.length));
  const lines = shown.flatMap((check) => checkLines(check, { coloured, width }));
  return [...lines, ...(lines.length > 0 ? [""] : []), summary(Checks), ""].join("\n");
}

function checkLines(
  { Name, Verdict, Message, Advice }: DoctorCheck,
  how: { coloured: boolean; width: number },
): string[] {
  const word = Verdict.padEnd(verdictWidth);
  const verdict = how.coloured ? `\x1b[${codes[Verdict]}m${word}\x1b[0m` : word;
  const indent = " ".repeat(verdictWidth + 2 + how.width + 2);
  return [`${verdict}  ${Name.padEnd(how.width)}  ${Message}`, ...(Advice ? [`${indent}→ ${Advice}`] : [])];
}

function summary(checks: readonly DoctorCheck[]): string {
  const count = (verdict: DoctorVerdict) => checks.filter(({ Verdict }) => Verdict === verdict).length;
  const counted = (number: number, word: string) => `${number} ${word}${number === 1 ? "" : "s"}`;
  return `${count("ok")} ok, ${counted(count("warning"), "warning")}, ${counted(count("problem"), "problem")}`;
}
