// The key table. Handler, help, buttons and tests all read it, so that they cannot differ.

/** @typedef {import("./types").ClassName} ClassName */

/**
 * Which keys a binding is on; see meaningOf().
 * @typedef {object} Keys
 * @property {string[]} [codes]  places on the keyboard, whatever is printed on them (event.code)
 * @property {string[]} [signs]  what is printed (event.key), where layouts differ in its place
 * @property {boolean} [control] with Ctrl, or Cmd
 * @property {boolean | "either" | "digit"} [shift]  with Shift; digit: if that types a digit, as on
 *   AZERTY
 * @property {boolean} [repeat]  also while the key is held
 * @property {"grid" | "single"} [view]  only in this view
 */

/**
 * @typedef {object} BindingText
 * @property {string} action  a name of actions.js
 * @property {string} group   heading in the help
 * @property {string} help    what it does, for people
 * @property {string} shown   the keys, for people
 */

/** @typedef {Keys & BindingText} Binding */

const DIGITS = [...Array(10).keys()].flatMap((digit) => [`Digit${digit}`, `Numpad${digit}`]);
const DIRECTIONS = ["KeyA", "KeyS", "KeyD", "KeyF", "KeyG"];
const SPEEDS = ["KeyJ", "KeyK", "KeyL"];

/** Actions that work in every view; all others need a picture in sight. */
export const ANYWHERE = [
  "undo",
  "undo-and-go",
  "redo",
  "clear",
  "switch-view",
  "review",
  "help",
  "start-suspicious",
];

// One binding a line, to be read as a table.
// prettier-ignore
/** @type {readonly Binding[]} */
export const BINDINGS = [
  ...group("Label", [
    ["label", "0 … 9", "set the active attribute and go on", { codes: DIGITS, shift: "digit" }],
    ["direction", "A S D F G", "set the direction, leftmost first, and go on", { codes: DIRECTIONS }],
    ["speed", "J K L", "set the speed, slowest first (and go on if it is active)", { codes: SPEEDS }],
    ["switch-attribute", "T", "switch which attribute digits set", { codes: ["KeyT"] }],
    ["confirm", "Enter", "keep the label as it is and go on", { codes: ["Enter", "NumpadEnter"] }],
    ["delete", "X or Delete", "mark or unmark to delete, go on", { codes: ["KeyX", "Delete"] }],
    ["delete-stay", "Shift+X", "mark or unmark to delete, stay", { codes: ["KeyX", "Delete"], shift: true }],
    ["value-down", "Q", "nudge the steering to the left (the throttle down, if speed is active)", { codes: ["KeyQ"], repeat: true }],
    ["value-up", "E", "nudge the steering to the right (the throttle up, if speed is active)", { codes: ["KeyE"], repeat: true }],
    ["smooth", "W", "smooth the steering of the selection (the throttle, if speed is active)", { codes: ["KeyW"] }],
    ["straighten", "Shift+W", "draw a line through the selection, from the picture before it to the one after", { codes: ["KeyW"], shift: true }],
    ["take-model", "M", "take the model's steering, of each picture its own, and go on", { codes: ["KeyM"] }],
    ["take-other", "U", "take the label of the person compared with, and go on", { codes: ["KeyU"] }],
    ["class-from-steering", "R", "set the class to the steering, where they differ", { codes: ["KeyR"] }],
    ["shift-earlier", ",", "move the labels of the selection to earlier pictures", { codes: ["Comma"] }],
    ["shift-later", ".", "move the labels of the selection to later pictures", { codes: ["Period"] }],
  ]),
  ...group("Undo", [
    ["undo-and-go", "Backspace", "undo the last step and go to its picture", { codes: ["Backspace"] }],
    ["undo", "Ctrl+Z", "undo the last step", { signs: ["z"], control: true }],
    ["redo", "Ctrl+Shift+Z", "redo the last undone step", { signs: ["z"], control: true, shift: true }],
    ["redo", "Ctrl+Y", "redo the last undone step", { signs: ["y"], control: true }],
  ]),
  ...group("Go", [
    ["previous", "←", "picture before, in time", { codes: ["ArrowLeft"], repeat: true }],
    ["next", "→", "picture after, in time", { codes: ["ArrowRight"], repeat: true }],
    ["previous-listed", "Ctrl+←", "previous picture of the list: filter and order", { codes: ["ArrowLeft"], control: true, repeat: true }],
    ["next-listed", "Ctrl+→", "next picture of the list: filter and order", { codes: ["ArrowRight"], control: true, repeat: true }],
    ["back-ten", "Page Up", "ten pictures back", { codes: ["PageUp"], repeat: true }],
    ["forward-ten", "Page Down", "ten pictures forward", { codes: ["PageDown"], repeat: true }],
    ["first", "Home", "first picture of the list", { codes: ["Home"] }],
    ["last", "End", "last picture of the list", { codes: ["End"] }],
    ["next-unreviewed", "N", "next unreviewed picture of the list", { codes: ["KeyN"] }],
    ["next-suspicious", "Shift+N", "next picture of the list whose label looks wrong", { codes: ["KeyN"], shift: true }],
    ["go-to", "O or /", "go to an img_id or a number", { codes: ["KeyO"], signs: ["/"] }],
    ["row-up", "↑ in the grid", "one row up", { codes: ["ArrowUp"], view: "grid", repeat: true }],
    ["row-down", "↓ in the grid", "one row down", { codes: ["ArrowDown"], view: "grid", repeat: true }],
  ]),
  ...group("Select", [
    ["range-start", "[ or I", "start a range at this picture", { codes: ["BracketLeft", "KeyI"] }],
    ["range-end", "] or P", "end the range: the next label or X is for all of it", { codes: ["BracketRight", "KeyP"] }],
    ["extend-back", "Shift+←", "extend the selection backwards", { codes: ["ArrowLeft"], shift: true, repeat: true }],
    ["extend-forward", "Shift+→", "extend the selection forwards", { codes: ["ArrowRight"], shift: true, repeat: true }],
    ["select-stretch", "C", "select the stretch around this picture that looks wrong", { codes: ["KeyC"] }],
    ["select-all", "Ctrl+A", "select all pictures shown", { signs: ["a"], control: true }],
    ["clear", "Esc", "clear the selection, stop playing", { codes: ["Escape"] }],
  ]),
  ...group("Play", [
    ["play", "Space", "play or stop; hold a label key to paint", { codes: ["Space"] }],
    ["play-back", "Shift+Space", "play backwards or stop", { codes: ["Space"], shift: true }],
    ["faster", "↑", "play faster", { codes: ["ArrowUp"], view: "single", repeat: true }],
    ["slower", "↓", "play slower", { codes: ["ArrowDown"], view: "single", repeat: true }],
  ]),
  ...group("See", [
    ["switch-view", "V", "switch between one picture and the grid", { codes: ["KeyV"] }],
    ["zoom-curve", "Z", "show the steering of the whole drive, or of a part", { codes: ["KeyZ"], view: "single" }],
    ["toggle-panel", "B", "show or hide the side panel", { codes: ["KeyB"] }],
    ["review", "Ctrl+S", "review all changes and export them", { signs: ["s"], control: true }],
    ["help", "H, F1 or ?", "show all keys", { codes: ["KeyH", "F1"], signs: ["?"], shift: "either" }],
  ]),
];

/**
 * Return the bindings of one group.
 * @param {string} name
 * @param {[action: string, shown: string, help: string, keys: Keys][]} rows
 * @returns {Binding[]}
 */
function group(name, rows) {
  return rows.map(([action, shown, help, keys]) => ({ action, group: name, shown, help, ...keys }));
}

/**
 * Return whether pictures are in sight.
 * @param {string} view
 */
export function showsPictures(view) {
  return view === "single" || view === "grid";
}

/**
 * Return the bindings that work in a view, shown with the keys of the classes that there are.
 * @param {string} view
 * @param {Record<ClassName, number>} classes  how many there are
 * @returns {Binding[]}
 */
export function bindingsOf(view, classes) {
  const most = Math.max(classes.direction, classes.speed);
  /** @type {Record<string, string>} */
  const shown = {
    label: most > 1 ? `0 … ${most - 1}` : "0",
    direction: DIRECTIONS.slice(0, classes.direction).map(letterOfCode).join(" "),
    speed: SPEEDS.slice(0, classes.speed).map(letterOfCode).join(" "),
  };
  const works = (/** @type {Binding} */ binding) =>
    (binding.view ?? view) === view && (showsPictures(view) || ANYWHERE.includes(binding.action));
  return BINDINGS.filter(works).map((binding) => ({
    ...binding,
    shown: shown[binding.action] ?? binding.shown,
  }));
}

/**
 * Return what a key press means, if anything; `value` is the class that the key stands for, else -1.
 * @param {KeyboardEvent} event
 * @param {string} view
 * @returns {{binding: Binding, value: number} | null}
 */
export function meaningOf(event, view) {
  if (event.isComposing || event.altKey) return null;
  const control = event.ctrlKey || event.metaKey;
  const sign = event.key.toLowerCase();
  for (const binding of BINDINGS) {
    if (Boolean(binding.control) !== control) continue;
    if (binding.view && binding.view !== view) continue;
    // A sign such as ? needs Shift on one layout and none on another.
    const bySign = binding.signs?.includes(sign) && (!control || shiftFits(binding, event));
    const byPlace = binding.codes?.includes(event.code) && shiftFits(binding, event);
    if (!bySign && !byPlace) continue;
    if (event.repeat && !binding.repeat) return null;
    return { binding, value: classOf(binding, event.code) };
  }
  return null;
}

/** @param {Binding} binding @param {KeyboardEvent} event */
function shiftFits(binding, event) {
  if (binding.shift === "digit") return !event.shiftKey || /^\d$/.test(event.key);
  return binding.shift === "either" || Boolean(binding.shift) === event.shiftKey;
}

/** @param {Binding} binding @param {string} code */
function classOf(binding, code) {
  if (binding.action === "label") return Number(code.at(-1));
  if (binding.action === "direction") return DIRECTIONS.indexOf(code);
  if (binding.action === "speed") return SPEEDS.indexOf(code);
  return -1;
}

/**
 * Return the letter that sets a class whatever attribute is active; "" where there is none.
 * @param {ClassName} attribute
 * @param {number} value
 * @param {Map<string, string>} layout  what is printed on the keys, by event.code
 */
export function letterOf(attribute, value, layout) {
  const code = (attribute === "direction" ? DIRECTIONS : SPEEDS)[value];
  if (!code) return "";
  return (layout.get(code) ?? letterOfCode(code)).toUpperCase();
}

/**
 * Return the letter of a place on an American keyboard, such as "A" for "KeyA".
 * @param {string} code
 */
function letterOfCode(code) {
  return code.slice(-1);
}

/**
 * Return what is printed on the keys of this keyboard, by event.code, if the browser tells.
 * @returns {Promise<Map<string, string>>}
 */
export async function keyboardLayout() {
  try {
    // @ts-expect-error only some browsers have it
    return new Map(await navigator.keyboard.getLayoutMap());
  } catch {
    return new Map();
  }
}
