export { createEvents, type EngineEvent, type EventSpan, type Events } from "./events.ts";
export { eventsMigrations } from "./log.ts";
