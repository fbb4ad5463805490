import { closeSync, constants, openSync, readSync } from "node:fs";
import { type ContextNode, type ContextTree, childNames } from "./context-tree.ts";
import type { FileView, Stat } from "./fs.ts";

const types = { file: constants.S_IFREG, directory: constants.S_IFDIR, symlink: constants.S_IFLNK };

/** A context as if it were unpacked at `root`; `archive` has the contents. */
export function contextView(tree: ContextTree, { root, archive }: { root: string; archive: string }): FileView {
  const node = (path: string) => tree.get(path.slice(root.length));
  return {
    root,
    lstat: (path) => {
      const found = node(path);
      return found && statOf(found);
    },
    readdir: (path) => {
      const found = node(path);
      return found?.type === "directory" ? childNames(found) : [];
    },
    readlink: (path) => {
      const found = node(path);
      return found?.type === "symlink" ? found.target : "";
    },
    xattrs: (path) => (node(path)?.xattrs ?? []).map(([name, value]) => [name, value]),
    digest: (path) => {
      const found = node(path);
      return found?.type === "file" ? found.digest : "";
    },
    remove: (path) => tree.remove(path.slice(root.length)),
    head: (path, length) => {
      const found = node(path);
      return found?.type === "file"
        ? readContent(archive, { ...found, size: Math.min(length, found.size) })
        : Buffer.alloc(0);
    },
  };
}

/** A piece of the archive. Blocks. */
export function readContent(archive: string, { offset, size }: { offset: number; size: number }): Buffer {
  const fd = openSync(archive, "r");
  try {
    const bytes = Buffer.allocUnsafe(size);
    let got = 0;
    while (got < size) {
      const count = readSync(fd, bytes, got, size - got, offset + got);
      if (count === 0) break;
      got += count;
    }
    return bytes.subarray(0, got);
  } finally {
    closeSync(fd);
  }
}

/** As the file would have it that is unpacked from there: of root's, with one name. */
function statOf(node: ContextNode): Stat {
  const is = (type: ContextNode["type"]) => () => node.type === type;
  const size = node.type === "file" ? BigInt(node.size) : 0n;
  return {
    ...{ dev: 0n, ino: 0n, rdev: 0n, nlink: 1n, uid: 0n, gid: 0n, size, mtimeNs: node.mtime, ctimeNs: node.mtime },
    mode: BigInt(types[node.type] | node.mode),
    isFile: is("file"),
    isDirectory: is("directory"),
    isSymbolicLink: is("symlink"),
    isSocket: () => false,
  };
}
