import { expect, test } from "bun:test";
import { rawTerminal } from "./mod.ts";

test("a terminal is raw while it is held and as before afterwards", async () => {
  const program = `
import { rawTerminal } from ${JSON.stringify(new URL("./terminal.ts", import.meta.url).pathname)};
const settings = () => Bun.spawnSync(["stty", "-a"], { stdin: "inherit" }).stdout.toString();
const before = settings();
const raw = rawTerminal(0);
const during = settings();
raw[Symbol.dispose]();
console.log(JSON.stringify({ same: settings() === before, raw: /-opost/.test(during) && /-icanon/.test(during) && /-echo /.test(during) }));
`;
  const path = `/tmp/berth-terminal-${process.pid}.ts`;
  await Bun.write(path, program);
  const child = Bun.spawnSync(["script", "-qec", `${process.execPath} ${path}`, "/dev/null"]);
  await Bun.file(path).delete();
  expect(child.stdout.toString()).toContain('{"same":true,"raw":true}');
});

test("what is not a terminal is refused", async () => {
  const file = await import("node:fs").then((fs) => fs.openSync("/dev/null", "r"));
  expect(() => rawTerminal(file)).toThrow("Read the settings of terminal");
});
