/**
 * The same commands on dockerd and on Berth: `--record --b unix:///SOCKET` writes what a dockerd answers into `golden/`, for
 * the docker CLI that `--cli` names or the PATH has; without it they run on a Berth of their own, and every answer that is
 * neither as recorded nor listed in `differences.txt` fails. Further arguments choose scenarios by the start of their name.
 */
import { parseArgs } from "node:util";
import { startEngine } from "../support/engine.ts";
import { importBusybox } from "../support/images.ts";
import { readGolden, writeGolden } from "./answer.ts";
import { Differences } from "./differences.ts";
import { Bench } from "./engine.ts";
import { readScenarios, type Scenario } from "./scenario.ts";

const flags = { record: { type: "boolean" }, b: { type: "string" }, cli: { type: "string" } } as const;
const { values, positionals } = parseArgs({ options: flags, allowPositionals: true });

async function main(): Promise<number> {
  const scenarios = readScenarios(positionals);
  const program = values.cli ?? Bun.which("docker");
  if (!program) throw new Error("there is no docker CLI in the PATH: name one with --cli");
  const cli = /(\d+)\./.exec(Bun.spawnSync([program, "--version"]).stdout.toString())?.[1] ?? "unknown";
  if (!values.record) return replay(scenarios, { program, cli });
  if (!values.b) throw new Error("--record needs the socket of a dockerd: --b unix:///PATH");
  await record(scenarios, { program, cli, host: values.b });
  return 0;
}

interface Client {
  readonly program: string;
  readonly cli: string;
}

async function record(scenarios: readonly Scenario[], options: Client & { readonly host: string }): Promise<void> {
  const { host, program, cli } = options;
  await importBusybox({ host }, "dtbox");
  using bench = new Bench(host, program);
  await bench.prepare();
  for (const scenario of scenarios) {
    writeGolden({ cli, scenario }, await bench.play(scenario));
    say(`recorded ${scenario.name}`);
  }
}

async function replay(scenarios: readonly Scenario[], { program, cli }: Client): Promise<number> {
  await using engine = await startEngine();
  await importBusybox(engine, "dtbox");
  using bench = new Bench(engine.host, program);
  await bench.prepare();
  const differences = new Differences();
  const totals = { passed: 0, failed: 0 };
  for (const scenario of scenarios) {
    const golden = readGolden({ cli, scenario });
    const answers = await bench.play(scenario);
    for (const { name } of scenario.steps) {
      const place = `${scenario.name}:${name}`;
      const recorded = golden?.get(name);
      const answer = answers.get(name) ?? [];
      const changes = recorded ? differences.unlisted(place, { cli, golden: recorded, answer }) : [notRecorded(cli)];
      if (changes.length === 0) totals.passed++;
      else {
        totals.failed++;
        say([`FAIL  ${place}`, ...changes].join("\n    "));
      }
    }
  }
  const document = await Bun.file(`${import.meta.dir}/../../docs/differences.md`).text();
  const lists = [
    ...differences.undocumented(document).map((reason) => `not in docs/differences.md: ${reason}`),
    ...(positionals.length === 0 ? differences.stale(cli) : []).map((line) => `differs no longer: ${line}`),
  ];
  for (const line of lists) say(`FAIL  ${line}`);
  totals.failed += lists.length;
  say(`differential with docker CLI ${cli}: ${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed === 0 ? 0 : 1;
}

function notRecorded(cli: string): string {
  return `no answer recorded with a docker CLI ${cli}: ./dev differential --record --b unix:///SOCKET-OF-A-DOCKERD`;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

process.exit(await main());
