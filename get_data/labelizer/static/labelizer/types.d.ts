// The JSON that the server and the page exchange. Each type names the Python that it mirrors.

/** An attribute that has classes. */
export type ClassName = "direction" | "speed";

/** What should be done at a picture, -1 .. 1: one for each class. */
export type ValueName = "steering" | "throttle";

export type Attribute = ClassName | "reviewed" | "deleted" | ValueName;

/** First and last position of a range. */
export type Run = [number, number];

/** Value and count of a run; null only for steering and throttle: as the label file has it. */
export type ValueRun = [value: number | null, count: number];

/**
 * One step that can be undone: operations.py, Operation.
 *
 * The server sets the class of a value, and the value of a class, where a step has only one of
 * them. It works out a `shift`, `nudge` or `smooth` whose `set` is empty, and returns it in
 * EditsReply.planned, to be applied here; `was` is filled in by the server.
 */
export interface Operation {
  uid: string;
  kind:
    | "label"
    | "confirm"
    | "delete"
    | "fix"
    | "shift"
    | "carry"
    | "undo"
    | "redo"
    | "value"
    | "nudge"
    | "smooth";
  text: string;
  /** The step that an undo or a redo is of. */
  of?: string | null;
  /** How many pictures later a shift moves labels; how far to both sides a value is smoothed. */
  by?: number;
  /** The value that a nudge or a smooth changes; steering if absent. */
  name?: ValueName;
  /** How much a nudge adds to the value. */
  amount?: number;
  /** Ranges of first and last, ascending. */
  positions: Run[];
  /** New values of these positions in turn, as runs of value and count. */
  set: Partial<Record<Attribute, ValueRun[]>>;
  /** Their values before. */
  was: Partial<Record<Attribute, ValueRun[]>>;
}

/** How many classes a group of labels has: entries.py, Group. */
export interface Group {
  nb_dir: number;
  nb_speed: number;
}

/** Something a person should know of: problems.py, Problem. `position` is -1 for no entry. */
export interface Problem {
  name: string;
  what: string;
  position: number;
}

/** Problems of one kind, the first few listed. */
export interface ProblemKind {
  one: string;
  many: string;
  remedy: string;
  count: number;
  first: Problem[];
}

export interface Problems extends Record<string, ProblemKind> {
  invalid: ProblemKind;
  broken: ProblemKind;
  unlabelled: ProblemKind;
}

/** Classes that the file has as texts: catalogue.py, Fix. */
export interface Fix {
  position: number;
  direction: number;
  speed: number;
}

/** How contact sheets are cut: pictures a sheet, pictures a row, pixels of a tile. */
export interface SheetLayout {
  pictures: number;
  row: number;
  width: number;
  height: number;
}

/** What a picture was taken on and by, and when: captures.py. */
export type CaptureName = "drive" | "driver" | "day";

/** A text for each entry: names, and the index of each entry's as runs. */
export interface Names {
  names: string[];
  runs: ValueRun[];
}

/** The label file as columns, one value an entry: GET /api/entries. */
export interface Entries {
  labels: string;
  folder: string;
  user: string;
  /** Changes when any picture does. */
  version: string;
  sheet: SheetLayout;
  ids: string[];
  /** Classes; -1 where the label has none. */
  direction: number[];
  speed: number[];
  /** What the driver did, -1 .. 1; null where the label does not say. */
  raw_direction: (number | null)[];
  raw_speed: (number | null)[];
  /** What should be done, as the label file has it; null where that is what the driver did. */
  steering: (number | null)[];
  throttle: (number | null)[];
  /** Throttle up to which the speed bins reach, and 1 where the label says so: runs. */
  spans: ValueRun[];
  tells_span: ValueRun[];
  drive: Names;
  driver: Names;
  day: Names;
  /** Index into `groups`. */
  group: number[];
  groups: Group[];
  /** Bits of Flag in store.js. */
  flags: number[];
  problems: Problems;
  fixes: Fix[];
}

/**
 * The work so far: GET /api/state. Columns have one value for each of `positions`; steering and
 * throttle are null where they are as the label file has them.
 */
export interface WorkState extends Record<Attribute, (number | null)[]> {
  outdated: null;
  positions: number[];
  /** What an earlier round has decided and the label file has. */
  settled: number[];
  /** What became of the round before this work. */
  round: RoundSummary | null;
  history: Operation[];
}

/**
 * What became of the decisions of a round in the label file that came after it, as counts:
 * decisions.py, RoundSummary.
 */
export interface RoundSummary {
  decided: number;
  applied: number;
  deleted: number;
  carried: number;
  lost: number;
  kept: number;
  archive: string;
}

/** GET /api/state when the label file has changed. */
export interface OutdatedState {
  outdated: RoundSummary;
}

/** What the pictures themselves show, so far: GET /api/findings. */
export interface Findings {
  looked_at: number;
  broken: [position: number, fault: string][];
  dull: number[];
  still: Run[];
}

/** GET /api/model until there is a model, or when there will be none: model.py. */
export interface NoModel {
  status: "none" | "computing" | "failed";
  done: number;
  total: number;
  message: string;
}

/** GET /api/model: columns of the positions that were judged. */
export interface JudgedLabels {
  status: "ready";
  done?: undefined;
  positions: number[];
  score: (number | null)[];
  /** Steering that the model expects; null where it does not know. */
  predicted: (number | null)[];
  /** Score from which on a label is worth a look. */
  doubtful: number;
  /** Positions of labels that stand out, in any set alike. */
  wrong: number[];
  /** Positions, the most suspicious first. */
  order: number[];
  /** First and last position of suspicious runs, the worst first. */
  clips: Run[];
  /** Drives whose labels are late, and by how many pictures. */
  late: { drive: number; pictures: number }[];
}

export type ModelReply = NoModel | JudgedLabels;

/** Labels of another file, in the order of the entries: GET /api/comparison, comparison.py. */
export interface ComparisonReply {
  name: string;
  file: string;
  /** Classes; -1 where there is no label to compare. */
  direction: number[];
  speed: number[];
  steering: number[];
  throttle: number[];
  deleted: number[];
  common: number;
  only_here: number;
  only_there: number;
  invalid: number;
  other_classes: number;
}

/** POST /api/lease; `epoch` is null while another browser holds the lease. */
export interface LeaseReply {
  epoch: number | null;
}

/** POST /api/heartbeat. */
export interface HeartbeatReply {
  holds: boolean;
  free: boolean;
  source_changed: boolean;
}

/** POST /api/edits. */
export interface EditsReply {
  source_changed: boolean;
  /** Steps sent without a `set`, as they were saved. */
  planned: Operation[];
}

/** POST /api/export. */
export interface ExportReply {
  file: string;
  untouched: number;
  corrected: number;
  confirmed: number;
  deleted: number;
  restored: number;
  created: number;
  left_out: { img_id: string; why: string }[];
  apply: { command: string; set_first: string[] };
}

/** The answer to a request that was refused: middleware.py. */
export interface Failure {
  why?: string;
  message: string;
}

/** An answer of the server, whatever its status. */
export type Reply<Body> = { status: 200; body: Body } | { status: number; body: Failure };
