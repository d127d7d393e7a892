// The key table. Handler, help page, buttons and tests all read it, so that they cannot differ.

/** @typedef {import("./store.js").ClassName} ClassName */

/**
 * @typedef {object} Binding
 * @property {string} action  what it does, a name of actions.js
 * @property {string} group   under which heading the help shows it
 * @property {string} help    what it does, for people
 * @property {string} shown   the keys, for people
 * @property {string[]} [codes]  places on the keyboard, whatever is printed on them (event.code)
 * @property {string[]} [signs]  what is printed (event.key), for signs that every layout puts elsewhere
 * @property {boolean} [control] with Ctrl, or Cmd
 * @property {boolean | "either" | "digit"} [shift]  digit: where it gives one, as on AZERTY
 * @property {boolean} [repeat]  also while the key is held
 * @property {"grid" | "single"} [view]  only in this view
 */

const DIGITS = [...Array(10).keys()].flatMap((digit) => [`Digit${digit}`, `Numpad${digit}`]);
const DIRECTIONS = ["KeyA", "KeyS", "KeyD", "KeyF", "KeyG"];
const SPEEDS = ["KeyJ", "KeyK", "KeyL"];

/** Actions that do something whatever is in sight; all others are of pictures that are. */
export const ANYWHERE = ["undo", "undo-and-go", "redo", "clear", "switch-view", "review", "help"];

/** @type {readonly Binding[]} */
export const BINDINGS = [
  { action: "label", group: "Label", shown: "0 … 9", codes: DIGITS, shift: "digit", help: "set the active attribute, go on" },
  { action: "direction", group: "Label", shown: "A S D F G", codes: DIRECTIONS, help: "set the direction, counted from the left, go on" },
  { action: "speed", group: "Label", shown: "J K L", codes: SPEEDS, help: "set the speed, from the slowest (and go on if it is active)" },
  { action: "switch-attribute", group: "Label", shown: "T", codes: ["KeyT"], help: "make the other attribute the active one" },
  { action: "confirm", group: "Label", shown: "Enter", codes: ["Enter", "NumpadEnter"], help: "keep the label as it is, and go on" },
  { action: "delete", group: "Label", shown: "X or Delete", codes: ["KeyX", "Delete"], help: "mark to delete, or not, and go on" },
  { action: "delete-stay", group: "Label", shown: "Shift+X", codes: ["KeyX", "Delete"], shift: true, help: "mark to delete, or not, and stay" },
  { action: "shift-earlier", group: "Label", shown: ",", codes: ["Comma"], help: "move the labels of the selection to earlier pictures" },
  { action: "shift-later", group: "Label", shown: ".", codes: ["Period"], help: "move the labels of the selection to later pictures" },

  { action: "undo-and-go", group: "Undo", shown: "Backspace", codes: ["Backspace"], help: "undo the last step and go to its picture" },
  { action: "undo", group: "Undo", shown: "Ctrl+Z", signs: ["z"], control: true, help: "undo the last step" },
  { action: "redo", group: "Undo", shown: "Ctrl+Shift+Z", signs: ["z"], control: true, shift: true, help: "do it again" },
  { action: "redo", group: "Undo", shown: "Ctrl+Y", signs: ["y"], control: true, help: "do it again" },

  { action: "previous", group: "Go", shown: "←", codes: ["ArrowLeft"], repeat: true, help: "previous picture" },
  { action: "next", group: "Go", shown: "→", codes: ["ArrowRight"], repeat: true, help: "next picture" },
  { action: "back-ten", group: "Go", shown: "Page Up", codes: ["PageUp"], repeat: true, help: "ten pictures back" },
  { action: "on-ten", group: "Go", shown: "Page Down", codes: ["PageDown"], repeat: true, help: "ten pictures on" },
  { action: "first", group: "Go", shown: "Home", codes: ["Home"], help: "first picture" },
  { action: "last", group: "Go", shown: "End", codes: ["End"], help: "last picture" },
  { action: "next-unreviewed", group: "Go", shown: "N", codes: ["KeyN"], help: "next picture that nobody has reviewed" },
  { action: "next-suspicious", group: "Go", shown: "Shift+N", codes: ["KeyN"], shift: true, help: "next picture whose label looks wrong" },
  { action: "go-to", group: "Go", shown: "O or /", codes: ["KeyO"], signs: ["/"], help: "go to an img_id or a number" },

  { action: "range-start", group: "Select", shown: "[ or I", codes: ["BracketLeft", "KeyI"], help: "start a range at this picture" },
  { action: "range-end", group: "Select", shown: "] or P", codes: ["BracketRight", "KeyP"], help: "end it: the next label or X is for all" },
  { action: "extend-back", group: "Select", shown: "Shift+←", codes: ["ArrowLeft"], shift: true, repeat: true, help: "select backwards" },
  { action: "extend-on", group: "Select", shown: "Shift+→", codes: ["ArrowRight"], shift: true, repeat: true, help: "select onwards" },
  { action: "select-all", group: "Select", shown: "Ctrl+A", signs: ["a"], control: true, help: "select all that the filter shows" },
  { action: "clear", group: "Select", shown: "Esc", codes: ["Escape"], help: "select nothing, stop playing" },

  { action: "play", group: "Play", shown: "Space", codes: ["Space"], help: "play or stop; hold a label key to paint" },
  { action: "play-back", group: "Play", shown: "Shift+Space", codes: ["Space"], shift: true, help: "play backwards or stop" },
  { action: "faster", group: "Play", shown: "↑", codes: ["ArrowUp"], view: "single", repeat: true, help: "play faster" },
  { action: "slower", group: "Play", shown: "↓", codes: ["ArrowDown"], view: "single", repeat: true, help: "play slower" },
  { action: "row-up", group: "Go", shown: "↑ in the grid", codes: ["ArrowUp"], view: "grid", repeat: true, help: "a row up" },
  { action: "row-down", group: "Go", shown: "↓ in the grid", codes: ["ArrowDown"], view: "grid", repeat: true, help: "a row down" },

  { action: "switch-view", group: "See", shown: "V", codes: ["KeyV"], help: "one picture, or the grid" },
  { action: "histogram", group: "See", shown: "B", codes: ["KeyB"], help: "show or hide the side panel" },
  { action: "review", group: "See", shown: "Ctrl+S", signs: ["s"], control: true, help: "review all changes and export them" },
  { action: "help", group: "See", shown: "H, F1 or ?", codes: ["KeyH", "F1"], signs: ["?"], shift: "either", help: "show all keys" },
];

/** @param {string} view @returns {boolean} whether pictures are in sight */
export function showsPictures(view) {
  return view === "single" || view === "grid";
}

/**
 * The bindings that do something in a view, with the keys of the classes that there are.
 * @param {string} view @param {Record<ClassName, number>} classes @returns {Binding[]}
 */
export function bindingsOf(view, classes) {
  const most = Math.max(classes.direction, classes.speed);
  const letters = (/** @type {string[]} */ codes, /** @type {number} */ count) => codes.slice(0, count).map((code) => code.slice(-1)).join(" ");
  /** @type {Record<string, string>} */
  const shown = {
    label: most > 1 ? `0 … ${most - 1}` : "0",
    direction: letters(DIRECTIONS, classes.direction),
    speed: letters(SPEEDS, classes.speed),
  };
  return BINDINGS.filter((one) => (one.view ?? view) === view && (showsPictures(view) || ANYWHERE.includes(one.action))).map((one) => ({
    ...one,
    shown: shown[one.action] ?? one.shown,
  }));
}

/**
 * What a key press means, if anything.
 * @param {KeyboardEvent} event
 * @param {string} view
 * @returns {{binding: Binding, value: number} | null} value: which of the binding's classes, else -1
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
 * The letter that sets a class without switching the active attribute, on this keyboard.
 * @param {ClassName} attribute @param {number} value @param {Map<string, string>} layout
 */
export function letterOf(attribute, value, layout) {
  const code = (attribute === "direction" ? DIRECTIONS : SPEEDS)[value];
  if (!code) return "";
  return (layout.get(code) ?? code.slice(-1)).toUpperCase();
}

/**
 * What is printed on the keys of this keyboard, as far as the browser tells.
 * @returns {Promise<Map<string, string>>}
 */
export async function keyboardLayout() {
  try {
    // @ts-ignore: only some browsers have it
    return new Map(await navigator.keyboard.getLayoutMap());
  } catch {
    return new Map();
  }
}
