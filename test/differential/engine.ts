import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cliEnv } from "../support/engine.ts";
import { type Answer, type Answers, answerOf } from "./answer.ts";
import { normalise } from "./normalise.ts";
import type { Scenario } from "./scenario.ts";

/** Names of everything that a scenario makes start so: others may use the same engine while answers are recorded. */
const prefix = "dt-";

/** An engine, whichever it is, with one docker CLI in front. */
export class Bench implements Disposable {
  readonly #tools = mkdtempSync(join(tmpdir(), "berth-differential-"));
  readonly #host: string;
  #root = "";

  constructor(host: string, cli: string) {
    this.#host = host;
    symlinkSync(cli, `${this.#tools}/docker`);
    for (const tool of ["api", "fields"]) {
      writeFileSync(
        `${this.#tools}/${tool}`,
        `#!/bin/sh\nexec ${process.execPath} ${import.meta.dir}/${tool}.ts "$@"\n`,
      );
      chmodSync(`${this.#tools}/${tool}`, 0o755);
    }
  }

  /** What the engine keeps, by the name with which it shows in answers. */
  async prepare(): Promise<void> {
    this.#root = (await this.#sh("docker info --format '{{.DockerRootDir}}'")).stdout.trim();
    await this.#clean();
  }

  /** Runs the steps in order, each in the scenario's own empty directory, and removes what they made. */
  async play({ steps }: Scenario): Promise<Answers> {
    const workdir = `${this.#tools}/cwd`;
    mkdirSync(workdir);
    const answers = new Map<string, Answer>();
    for (const { name, line } of steps) {
      const { code, stdout, stderr } = await this.#sh(line, workdir);
      const made = { root: this.#root, workdir };
      answers.set(name, answerOf({ code, stdout: normalise(stdout, made), stderr: normalise(stderr, made) }));
    }
    await this.#clean();
    rmSync(workdir, { recursive: true });
    return answers;
  }

  [Symbol.dispose](): void {
    rmSync(this.#tools, { recursive: true, force: true });
  }

  /** Names of images do not take a filter by prefix with a hyphen. */
  async #clean(): Promise<void> {
    await this.#sh(`docker ps -aq --filter name=^/${prefix} | xargs -r docker rm -fv
      docker network ls -q --filter name=^${prefix} | xargs -r docker network rm
      docker volume ls -q --filter name=^${prefix} | xargs -r docker volume rm
      docker images --format '{{.Repository}}:{{.Tag}}' | grep ^${prefix} | xargs -r docker rmi`);
  }

  async #sh(line: string, cwd = this.#tools) {
    const env = { ...cliEnv(this.#host), PATH: `${this.#tools}:${process.env["PATH"]}`, LC_ALL: "C", TZ: "UTC" };
    const options = { cwd, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
    const child = Bun.spawn(["timeout", "--kill-after=1", "60", "sh", "-c", line], options);
    const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()] as const;
    const [stdout, stderr, code] = await Promise.all([...texts, child.exited]);
    return { stdout, stderr, code };
  }
}
