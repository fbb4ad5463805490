/** Berth's entry: chooses between the program's three roles, and loads only the one that runs. */
/**
 * JavaScriptCore's last compiler, which is for loops that run for minutes. What a daemon does is short and many-sided: there the
 * compiler took more time from the two cores of a small machine than its code gave back: a seventh of a warm build at first.
 * Such options are read once, when a process starts.
 */
const lateCompiler = "BUN_JSC_useFTLJIT";

const [role, verb] = process.argv.slice(2);
if (role === "daemon") {
  if (process.env[lateCompiler] === undefined) becomeWithout(lateCompiler);
  delete process.env[lateCompiler]; // it is ours, not that of the programs we start
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

/** execve(2): the same process, arguments and files, with an engine that is set up otherwise. */
function becomeWithout(option: string): void {
  const inBinary = process.argv[1]?.startsWith("/$bunfs/") === true;
  const argv = [process.execPath, ...process.argv.slice(inBinary ? 2 : 1)];
  try {
    process.execve?.(process.execPath, argv, { ...process.env, [option]: "0" });
  } catch {
    // It works as it is, too.
  }
}

export {};
