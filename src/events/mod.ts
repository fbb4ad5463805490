export { createEvents, type EngineEvent, type EventFilter, type Events, eventsMigrations } from "./events.ts";
