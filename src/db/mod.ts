export { type Db, type Migration, openDb, type Params, type Query, type Sync, type Tx } from "./db.ts";
