/** Berth's entry: chooses between the program's three roles, and loads only the one that runs. */
const [role, verb] = process.argv.slice(2);
if (role === "daemon") {
  const { daemonMain } = await import("./daemon/mod.ts");
  // What still runs, the containers' monitors, are children: their handles must not keep this process.
  process.exit(await daemonMain(process.argv.slice(3)));
} else if (role === "registry" && verb === "serve") {
  const { registryMain } = await import("./daemon/mod.ts");
  process.exitCode = await registryMain(process.argv.slice(4));
} else {
  const { cliMain } = await import("./cli/mod.ts");
  process.exitCode = await cliMain(process.argv.slice(2));
}

export {};
