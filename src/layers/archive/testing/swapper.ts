/**
 * Exchanges `dir`, which has a file of this text, for a symlink and back in a loop, as fast as the kernel lets it: what a
 * hostile container does. Whatever else gets in its way there, it starts anew.
 */
export async function startSwapper(directory: string, { target, text }: { target: string; text: string }) {
  const script = `
    const { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } = require("node:fs");
    process.chdir(${JSON.stringify(directory)});
    const make = () => {
      for (const name of ["dir", "link", "aside"]) rmSync(name, { recursive: true, force: true });
      mkdirSync("dir");
      writeFileSync("dir/file", ${JSON.stringify(text)});
      symlinkSync(${JSON.stringify(target)}, "link");
    };
    make();
    process.stdout.write("ready");
    for (;;) {
      try {
        renameSync("dir", "aside"); renameSync("link", "dir");
        renameSync("dir", "link"); renameSync("aside", "dir");
      } catch {
        try { make(); } catch {}
      }
    }`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  await child.stdout.getReader().read();
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
