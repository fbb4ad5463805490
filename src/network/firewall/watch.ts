import { readFileSync } from "node:fs";
import { messageOf } from "../../errors/mod.ts";
import type { Net, Processes } from "../../host/mod.ts";
import type { Log } from "../../log/mod.ts";
import { emptyFirewall, type Firewall, parseRuleset } from "./ruleset.ts";

/** How long somebody who creates a container waits for a ruleset to be read, in milliseconds; then what was known before counts. */
const patience = 50;
/** How long nft(8) may take, in milliseconds. */
const longest = 5000;
/** What is read at most, in bytes of JSON: parsing it keeps the main thread some 10 ms. */
const largest = 1 << 20;
/** No more than this share of the time is spent on reading a ruleset that changes all the time. */
const share = 0.05;

export interface WatchOptions {
  readonly net: Pick<Net, "hookedChains" | "rulesetGeneration">;
  readonly processes: Pick<Processes, "run">;
  readonly log: Log;
  /** Tables whose names begin so are not the host's. */
  readonly own: string;
}

/** What is known of the host's firewall; `problem` says why it is not all. */
export interface Known {
  readonly firewall: Firewall;
  readonly problem?: string;
}

/**
 * The host's firewall as it is, read when it is asked for and has changed. The kernel's generation of its rules says so
 * for some microseconds. Where no table of the host's has a chain that filters, which is also asked of the kernel, there
 * is nothing to read, so that nft(8) runs on hosts with a firewall only.
 */
export class FirewallWatch {
  readonly #options: WatchOptions;
  #known: Known = { firewall: emptyFirewall };
  #generation: number | undefined;
  #reading: Promise<Known> | undefined;
  #notBefore = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Never throws, and waits 50 ms at most. */
  async soon(): Promise<Firewall> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, patience);
    await Promise.race([this.now(), late.promise]);
    clearTimeout(timer);
    return this.#known.firewall;
  }

  /** Never throws; waits until it has been read, 10 seconds at most. */
  now(): Promise<Known> {
    if (this.#reading) return this.#reading;
    const generation = this.#currentGeneration();
    if (generation === this.#generation || performance.now() < this.#notBefore) return Promise.resolve(this.#known);
    const started = performance.now();
    this.#reading = this.#read()
      .catch((err: unknown): Known => ({ firewall: emptyFirewall, problem: messageOf(err) }))
      .then((known) => {
        if (known.problem !== undefined)
          this.#options.log.debug("The host's firewall was not read", { problem: known.problem });
        this.#known = known;
        this.#generation = generation;
        this.#reading = undefined;
        const ended = performance.now();
        this.#notBefore = ended + (ended - started) * (1 / share - 1);
        return known;
      });
    return this.#reading;
  }

  #currentGeneration(): number {
    try {
      return this.#options.net.rulesetGeneration();
    } catch {
      return 0; // a kernel without nf_tables has no rules that change
    }
  }

  async #read(): Promise<Known> {
    const { net, own } = this.#options;
    const foreign = net.hookedChains().filter(({ table }) => !table.startsWith(own));
    if (!foreign.some(({ hook }) => hook === "forward" || hook === "input")) return { firewall: emptyFirewall };
    const json = await this.#nft("-j");
    if (json.length > largest) return { firewall: emptyFirewall, problem: `the ruleset has ${json.length} bytes` };
    const text = json.includes('"xt"') ? await this.#nft("-a") : "";
    return { firewall: parseRuleset(json, { own, text }) };
  }

  /** Without counters, and without the members of named sets, which may be many. */
  async #nft(form: "-j" | "-a"): Promise<string> {
    const argv = ["nft", form, "-s", "-t", "list", "ruleset"];
    const { code, stdout, stderr } = await this.#options.processes.run(argv, { signal: AbortSignal.timeout(longest) });
    if (code !== 0) throw new Error(`${argv.join(" ")}: ${stderr.trim() || `exit code ${code}`}`);
    return stdout;
  }
}

/** The link of the default route, by which those from outside come (/proc/net/route, proc(5)); undefined without one. */
export function outerLink(): string | undefined {
  const lines = readFileSync("/proc/net/route", "utf8").split("\n").slice(1);
  const routes = lines.map((line) => line.split("\t"));
  return routes.find(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000")?.[0];
}
