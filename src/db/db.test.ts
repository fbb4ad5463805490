import { expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Migration, openDb } from "./mod.ts";

const notes: Migration = { module: "notes", version: 1, sql: "CREATE TABLE notes (text TEXT NOT NULL UNIQUE) STRICT" };

function opened(migrations: readonly Migration[] = [notes]) {
  const directory = mkdtempSync(join(tmpdir(), "berth-db-"));
  const path = join(directory, "db");
  const db = openDb(path, migrations);
  return {
    db,
    path,
    [Symbol.dispose]() {
      db[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

const count = (db: ReturnType<typeof openDb>) =>
  db.read((q) => q.get<{ n: number }>("SELECT count(*) AS n FROM notes"))?.n;

test("a write that throws changes nothing and has no effects", () => {
  using at = opened();
  const effects: string[] = [];
  const failing = () =>
    at.db.write((tx) => {
      tx.run("INSERT INTO notes VALUES ('a')");
      tx.afterCommit(() => effects.push("a"));
      throw new Error("no");
    });
  expect(failing).toThrow("no");
  expect(count(at.db)).toBe(0);
  at.db.write((tx) => {
    tx.afterCommit(() => effects.push("b"));
  });
  expect(effects).toEqual(["b"]);
});

test("effects run after the outermost commit, when others can see the rows", () => {
  using at = opened();
  const seen: unknown[] = [];
  at.db.write(() => {
    at.db.write((tx) => {
      tx.run("INSERT INTO notes VALUES ('a')");
      tx.afterCommit(() => seen.push(count(at.db)));
    });
    expect(seen).toEqual([]);
  });
  expect(seen).toEqual([1]);
});

test("a nested write that fails is undone alone", () => {
  using at = opened();
  at.db.write((tx) => {
    tx.run("INSERT INTO notes VALUES ('kept')");
    expect(() => at.db.write((inner) => inner.run("INSERT INTO notes VALUES ('kept')"))).toThrow("UNIQUE");
  });
  expect(count(at.db)).toBe(1);
});

test("migrations run once, in order, and a gap is refused", () => {
  using at = opened();
  at.db.write((tx) => tx.run("INSERT INTO notes VALUES ('old')"));
  const second: Migration = { module: "notes", version: 2, sql: "ALTER TABLE notes ADD COLUMN more TEXT" };
  using again = openDb(at.path, [notes, second]);
  expect(again.read((q) => q.all("SELECT * FROM notes"))).toEqual([{ text: "old", more: null }]);
  expect(() => openDb(at.path, [notes, second, { ...second, version: 4 }])).toThrow("does not follow version 2");
});

test("nobody else on the host may read the file, nor what lies beside it, also one that was open to all", () => {
  using at = opened();
  at.db.write((tx) => tx.run("INSERT INTO notes VALUES ('secret')"));
  chmodSync(at.path, 0o644);
  using _again = openDb(at.path, [notes]);
  for (const file of [at.path, `${at.path}-wal`, `${at.path}-shm`]) expect(statSync(file).mode & 0o077, file).toBe(0);
});
