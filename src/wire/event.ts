/** One line of `GET /events`. */
export interface EventMessage {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: "local";
  /** Unix seconds, and the same instant in nanoseconds. */
  readonly time: number;
  readonly timeNano: number;
}

/** A decoded `filters` parameter: key → accepted values, in the order given. */
export type Filters = ReadonlyMap<string, readonly string[]>;
