import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { EngineError, messageOf } from "../../errors/mod.ts";
import type { Processes } from "../../host/mod.ts";
import type { Log } from "../../log/mod.ts";
import { defaultProfile, profileText } from "./profile.ts";

export interface PolicyOptions {
  readonly processes: Pick<Processes, "run">;
  readonly log: Log;
  /** The text that was loaded last; lost with a reboot, as the kernel's policy is. */
  readonly marker: string;
  /** Instead of the kernel's, in tests. */
  readonly files?: { readonly enabled: string; readonly profiles: string };
}

const kernelFiles = {
  enabled: "/sys/module/apparmor/parameters/enabled",
  profiles: "/sys/kernel/security/apparmor/profiles",
};

/** Berth's AppArmor profile in the kernel, where every daemon shares one. */
export class Policy {
  readonly #options: PolicyOptions;
  readonly #files: NonNullable<PolicyOptions["files"]>;
  #loading: Promise<void> | undefined;
  #profile: string | undefined;

  constructor(options: PolicyOptions) {
    this.#options = options;
    this.#files = options.files ?? kernelFiles;
  }

  /** The profile of containers that ask for none; undefined until `open` and where there is none. */
  get profile(): string | undefined {
    return this.#profile;
  }

  /** Whether the kernel confines by AppArmor. */
  get enabled(): boolean {
    return read(this.#files.enabled).startsWith("Y");
  }

  /** Loads the profile unless this very text is in the kernel. A host that cannot keeps what it has, or goes without; both are logged. */
  async open(): Promise<void> {
    if (!this.enabled) return;
    try {
      if (!this.#loaded() || read(this.#options.marker) !== profileText()) await this.#load();
      this.#profile = defaultProfile;
    } catch (err) {
      if (this.#loaded()) this.#profile = defaultProfile;
      const without = this.#profile === undefined ? "Containers run without one" : "Containers run with an older one";
      this.#options.log.warn(`The AppArmor profile cannot be loaded. ${without}`, { error: messageOf(err) });
    }
  }

  /** Before a process is confined by it: aa-remove-unknown(8) unloads what no file in /etc/apparmor.d has. Throws "unavailable". */
  async ensure(profile: string | undefined): Promise<void> {
    if (profile !== defaultProfile || this.#loaded()) return;
    this.#options.log.info("Loading the AppArmor profile again, which somebody has unloaded", { profile });
    await this.#load();
  }

  #loaded(): boolean {
    return `\n${read(this.#files.profiles)}`.includes(`\n${defaultProfile} (`);
  }

  #load(): Promise<void> {
    this.#loading ??= this.#parse().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #parse(): Promise<void> {
    const text = profileText();
    const argv = ["apparmor_parser", "--replace", "--skip-cache", "--quiet"];
    const { code, stderr } = await this.#options.processes.run(argv, { env: {}, stdin: text });
    if (code !== 0) {
      throw new EngineError("unavailable", `Load the AppArmor profile ${defaultProfile}: ${stderr.trim()}`);
    }
    writeFileSync(this.#options.marker, text, { mode: 0o600 });
    this.#options.log.info("AppArmor profile loaded", { profile: defaultProfile });
  }
}

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}
