import type { Migration } from "../db/mod.ts";
import { healthMigrations } from "./health/table.ts";
import { tableMigrations } from "./table.ts";

export const containersMigrations: readonly Migration[] = [...tableMigrations, ...healthMigrations];
