/** Fails for a source file above 400 lines or a door (mod.ts) above 60. Function length is Biome's rule. */
import { Glob } from "bun";

const limits = { file: 400, door: 60 } as const;
let bad = 0;
for await (const file of new Glob("{src,test,tools,bench}/**/*.ts").scan(".")) {
  if (file.includes("/node_modules/") || file.endsWith("_pb.ts")) continue; // _pb: written by ./dev proto
  const lines = (await Bun.file(file).text()).split("\n").length - 1;
  const limit = file.endsWith("/mod.ts") ? limits.door : limits.file;
  if (lines <= limit) continue;
  bad++;
  process.stderr.write(`${file}: ${lines} lines, at most ${limit}\n`);
}
process.stdout.write(bad === 0 ? "sizes: ok\n" : `sizes: ${bad} files too long\n`);
process.exit(bad === 0 ? 0 : 1);
