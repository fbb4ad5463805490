import { readFile } from "node:fs/promises";
import { EngineError } from "../errors/mod.ts";
import type { IdMap, Processes } from "../host/mod.ts";
import { freeStart, rangesOf } from "./subids.ts";

/** Whose ids containers get unless somebody is named. */
export const defaultUser = "berthremap";

const files = { uids: "/etc/subuid", gids: "/etc/subgid" } as const;
const rangeSize = 65_536;

type Runner = Pick<Processes, "run">;

/**
 * The ids that `--userns-remap` means: `default`, `USER[:GROUP]` or `UID[:GID]`; without a group it is the one with the user's
 * name. `default` is {@link defaultUser}, which is made with a range of its own when it is missing. Throws "invalid" for
 * somebody who is not there or has no subordinate ids.
 */
export async function resolveRemap(runner: Runner, text: string): Promise<IdMap> {
  const [user = "", group, ...more] = text.split(":");
  if (user === "" || group === "" || more.length > 0) {
    throw new EngineError(
      "invalid",
      `userns-remap ${JSON.stringify(text)}: must be default, USER[:GROUP] or UID[:GID]`,
    );
  }
  if (text === "default") await makeDefault(runner);
  const name = await lookUp(runner, "passwd", text === "default" ? defaultUser : user);
  const groupName = await lookUp(runner, "group", group ?? name.name);
  return {
    uids: rangesOf(files.uids, await textOf(files.uids), [name.name, name.id]),
    gids: rangesOf(files.gids, await textOf(files.gids), [groupName.name, groupName.id]),
  };
}

async function lookUp(
  runner: Runner,
  database: "passwd" | "group",
  key: string,
): Promise<{ name: string; id: string }> {
  const { code, stdout } = await runner.run(["getent", "--", database, key]);
  const [name = "", , id = ""] = stdout.split("\n")[0]?.split(":") ?? [];
  if (code === 0 && name !== "") return { name, id };
  const what = database === "passwd" ? "user" : "group";
  throw new EngineError("invalid", `userns-remap: there is no ${what} ${key}`);
}

/** As dockerd makes its dockremap: a system user that nobody can be, and 65536 ids that nobody has. */
async function makeDefault(runner: Runner): Promise<void> {
  const there = await runner.run(["getent", "passwd", defaultUser]);
  if (there.code !== 0) {
    await must(runner, [
      "useradd",
      "--system",
      "--user-group",
      "--no-create-home",
      "--shell",
      "/usr/sbin/nologin",
      defaultUser,
    ]);
  }
  const [uids, gids] = await Promise.all([textOf(files.uids), textOf(files.gids)]);
  const start = freeStart(uids, gids);
  const range = `${start}-${start + rangeSize - 1}`;
  const lacks = (text: string) => !text.split("\n").some((line) => line.startsWith(`${defaultUser}:`));
  const add = [...(lacks(uids) ? ["--add-subuids", range] : []), ...(lacks(gids) ? ["--add-subgids", range] : [])];
  if (add.length > 0) await must(runner, ["usermod", ...add, defaultUser]);
}

async function must(runner: Runner, argv: readonly string[]): Promise<void> {
  const { code, stderr } = await runner.run(argv);
  if (code === 0) return;
  throw new EngineError(
    "unavailable",
    `Make the user ${defaultUser} (${argv.join(" ")}): ${stderr.trim() || `exit code ${code}`}`,
  );
}

async function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
