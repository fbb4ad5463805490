import { existsSync, readdirSync } from "node:fs";
import type { Engine } from "./engine.ts";

/** All that an engine keeps, as its API and its directories tell. */
export async function everything(engine: Engine): Promise<object> {
  const count = (path: string) => (existsSync(path) ? readdirSync(path, { recursive: true }).length : 0);
  const data = `${engine.directory}/data`;
  return {
    containers: await engine.ok("ps", "-aq"),
    images: await engine.ok("images", "-aq"),
    volumes: await engine.ok("volume", "ls", "-q"),
    networks: await engine.ok("network", "ls", "-q"),
    content: count(`${data}/content`),
    snapshots: existsSync(`${data}/snapshots/s`) ? readdirSync(`${data}/snapshots/s`) : [],
    outside: ["/escaped", "/tmp/escaped", `${engine.directory}/escaped`].filter((path) => existsSync(path)),
  };
}
