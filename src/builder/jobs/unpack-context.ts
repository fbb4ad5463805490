import { closeSync, constants, mkdirSync, openSync, readSync } from "node:fs";
import type { Job } from "../../host/mod.ts";
import { writePiece } from "../../stream/mod.ts";
import { setTimes, setXattr } from "../files/attributes.ts";
import { readIndex } from "../files/context-index.ts";
import type { ContextNode, FileNode } from "../files/context-tree.ts";
import * as fs from "../files/fs.ts";
import { raw } from "../files/raw.ts";
import type { PackedFiles } from "./select.ts";

export interface UnpackContextInput extends PackedFiles {
  /** A directory that does not exist yet. */
  readonly directory: string;
}

/** Writes a context that came as an archive to the disk. */
export const unpackContextJob: Job<UnpackContextInput, void> = {
  name: "builder.unpackContext",
  run({ archive, index, directory }, context) {
    const root = raw(directory);
    const source = openSync(archive, "r");
    try {
      mkdirSync(directory, { mode: 0o755 });
      const directories: [string, bigint][] = [];
      for (const [path, node] of readIndex(index).entries()) {
        context.check();
        const place = `${root}/${path}`;
        make(place, { node, source });
        if (node.type === "directory") directories.push([place, node.mtime]);
      }
      // Last: what is put into them changes them.
      for (const [path, mtime] of directories.reverse()) setTimes(path, mtime);
    } finally {
      closeSync(source);
    }
  },
};

function make(path: string, { node, source }: { node: ContextNode; source: number }): void {
  if (node.type === "symlink") fs.symlink(node.target, path);
  else if (node.type === "directory") fs.mkdir(path, 0o700);
  else writeFile(path, { node, source });
  if (node.type !== "symlink") fs.chmod(path, node.mode);
  for (const [name, value] of node.xattrs ?? []) setXattr(path, { name, value });
  if (node.type !== "directory") setTimes(path, node.mtime);
}

const buffer = Buffer.allocUnsafe(256 * 1024);

function writeFile(path: string, { node, source }: { node: FileNode; source: number }): void {
  const file = { fd: fs.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL), at: 0 };
  try {
    while (file.at < node.size) {
      const wanted = Math.min(buffer.length, node.size - file.at);
      const got = readSync(source, buffer, 0, wanted, node.offset + file.at);
      if (got === 0) throw new RangeError("the archive of the context is shorter than its index says");
      writePiece(file, buffer.subarray(0, got));
    }
  } finally {
    closeSync(file.fd);
  }
}
