import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Engine } from "./engine.ts";

type Files = Readonly<Record<string, string>>;

/** Makes directories with the files of builds, which go with the engine. */
export function contextsIn(engine: () => Engine): (files: Files) => string {
  let made = 0;
  return (files) => {
    const directory = `${engine().directory}/context${made++}`;
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(`${directory}/${name}`), { recursive: true });
      writeFileSync(`${directory}/${name}`, text);
    }
    return directory;
  };
}
