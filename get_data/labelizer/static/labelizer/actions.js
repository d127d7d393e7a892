// What each action of the key table does; keys, buttons and the help all come here.

import { ANYWHERE, showsPictures } from "./keys.js";
import { score } from "./suspicion.js";
import { count } from "./words.js";

/** @typedef {import("./session.js").Session} Session */
/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./store.js").Operation} Operation */
/** @typedef {import("./store.js").ClassName} ClassName */

/**
 * @typedef {object} Desk
 * @property {Session} session
 * @property {Player} player
 * @property {(operation: Operation) => void} commit  keeps and sends it
 * @property {(text: string) => void} say
 * @property {(dialog: "help" | "go-to") => void} open
 * @property {() => void} togglePanel
 * @property {() => number} shiftBy
 * @property {() => number} columns  of the grid
 */

/** @param {Desk} desk @returns {Record<string, (value: number) => void>} */
export function actionsOf(desk) {
  const { session, player, say } = desk;
  const { store } = session;

  /** Whether nothing may be changed now, which is said. */
  const isBlocked = () => {
    if (session.readOnly)
      say("This tab only shows: another one is labelling. Take over, above, to label here.");
    else if (session.position < 0) say(NOTHING);
    return session.readOnly || session.position < 0;
  };

  /** @param {Operation | null} operation @param {boolean} advance */
  const finish = (operation, advance) => {
    const { position, order, place } = session;
    const wanted = advance ? (order[place + 1] ?? position) : position;
    if (operation) {
      desk.commit(operation);
      session.refresh(wanted);
    } else if (wanted !== position) session.goTo(place + 1);
    if (advance && wanted === position) say("This is the last picture shown.");
  };

  /** @param {Operation | null} operation @param {string} what @param {number} skipped */
  const finishMany = (operation, what, skipped) => {
    finish(operation, false);
    const others = skipped ? `, ${skipped} skipped: they have other classes` : "";
    const changed = operation ? sizeOf(operation) : 0;
    say(`${count(changed, "picture")} → ${what}${others}${changed ? " (undo: Ctrl+Z)" : ""}`);
  };

  /** Those of the selection that have the classes of the picture shown, and how many have not. */
  const ofShownClasses = () => {
    const targets = session.targets();
    const same = store.ofGroup(targets, session.position);
    return { same, skipped: targets.length - same.length };
  };

  /** @param {ClassName} attribute @param {number} value @param {boolean} advance */
  const set = (attribute, value, advance) => {
    if (isBlocked()) return;
    const classes = store.classes(session.position, attribute);
    if (value >= classes) {
      say(`There is no ${attribute} ${value}: it goes from 0 to ${classes - 1}.`);
    } else if (player.playing) {
      player.paint(attribute, value);
    } else if (session.selectedCount) {
      const { same, skipped } = ofShownClasses();
      finishMany(store.label(same, attribute, value), `${attribute} ${value}`, skipped);
    } else {
      finish(store.label(session.targets(), attribute, value), advance);
    }
  };

  /** @param {boolean} advance */
  const toggleDeleted = (advance) => {
    if (isBlocked()) return;
    player.stop();
    const many = session.selectedCount > 0;
    const { same, skipped } = ofShownClasses();
    const operation = store.toggleDeleted(same);
    if (many) finishMany(operation, operation?.text ?? "marked to delete", skipped);
    else finish(operation, advance);
  };

  /** @param {1 | -1} sign */
  const shift = (sign) => {
    if (isBlocked()) return;
    if (!session.selectedCount) {
      say("Select the pictures whose labels to move: Ctrl+A selects all that are shown.");
      return;
    }
    const by = sign * desk.shiftBy();
    const deletedBefore = store.counts.deleted;
    const operation = store.shift(session.selection(), by);
    if (!operation) return;
    finish(operation, false);
    const more = store.counts.deleted - deletedBefore;
    const left = more > 0 ? `, ${more} left without one are marked to delete` : "";
    say(
      `${count(sizeOf(operation), "label")} moved ${Math.abs(by)} ${by < 0 ? "earlier" : "later"}${left} (undo: Ctrl+Z)`,
    );
  };

  /** @param {Operation} operation @param {string} word @param {boolean} go */
  const finishHistory = (operation, word, go) => {
    desk.commit(operation);
    const [first] = operation.positions[0];
    session.refresh(go ? first : session.position);
    if (go && session.position !== first)
      say(`${word}: ${operation.text}; its picture is not shown by this filter.`);
    else say(`${word}: ${operation.text} · ${count(sizeOf(operation), "picture")}`);
  };

  /** @param {"undo" | "redo"} which @param {boolean} [go] to its picture */
  const history = (which, go = false) => {
    if (session.readOnly) {
      isBlocked();
      return;
    }
    player.stop();
    const operation = which === "undo" ? store.undo() : store.redo();
    if (operation) finishHistory(operation, which === "undo" ? "undone" : "done again", go);
    else say(`There is nothing to ${which}.`);
  };

  /** In Single, most of a selection is out of sight: who goes on has done with it. */
  const leaveSelection = () => {
    if (session.view === "single" && session.selectedCount) session.clearSelection();
  };

  const NOTHING = "No picture is shown: nothing fits the filter.";

  /** Says why one cannot go further. */
  const sayEnd = () => {
    const { place, order } = session;
    if (!order.length) say(NOTHING);
    else if (place === 0) say("This is the first picture shown.");
    else
      say(
        place === order.length - 1
          ? "This is the last picture shown."
          : "There is no row further that way.",
      );
  };

  /** @param {number} place */
  const goTo = (place) => {
    const before = session.place;
    player.stop();
    leaveSelection();
    session.goTo(place);
    if (session.place === before) sayEnd();
  };

  /** @param {1 | -1} heading */
  const play = (heading) => {
    const isPlaying = player.playing;
    leaveSelection();
    if (!isPlaying && session.place === (heading > 0 ? Math.max(session.order.length - 1, 0) : 0))
      sayEnd();
    else player.toggle(heading);
  };

  /** @param {(position: number) => boolean} fits @param {string} none */
  const goToNext = (fits, none) => {
    const { order, place } = session;
    for (let step = 1; step <= order.length; step += 1) {
      const next = (place + step) % order.length;
      if (fits(order[next])) {
        player.stop();
        leaveSelection();
        if (next === place) say("This is the only one.");
        else session.goTo(next);
        return;
      }
    }
    say(none);
  };

  const isUnreviewed = (/** @type {number} */ position) => !store.isReviewed(position);

  /** @type {Record<string, (value: number) => void>} */
  const actions = {
    label: (value) => set(session.active, value, true),
    direction: (value) => set("direction", value, true),
    speed: (value) => set("speed", value, session.active === "speed"),
    "switch-attribute": () => session.switchActive(),
    confirm: () => {
      if (isBlocked()) return;
      player.stop();
      const many = session.selectedCount > 0;
      const { same, skipped } = ofShownClasses();
      const operation = store.confirm(same);
      if (many) finishMany(operation, "confirmed", skipped);
      else if (store.now.direction[session.position] < 0 || store.now.speed[session.position] < 0) {
        say("This label is not whole: set direction and speed first.");
      } else finish(operation, true);
    },
    delete: () => toggleDeleted(true),
    "delete-stay": () => toggleDeleted(false),
    "shift-earlier": () => shift(-1),
    "shift-later": () => shift(1),

    undo: () => history("undo"),
    "undo-and-go": () => history("undo", true),
    redo: () => history("redo"),

    previous: () => goTo(session.place - 1),
    next: () => goTo(session.place + 1),
    "back-ten": () => goTo(session.place - 10),
    "on-ten": () => goTo(session.place + 10),
    first: () => goTo(0),
    last: () => goTo(session.order.length - 1),
    "row-up": () => goTo(Math.max(session.place - desk.columns(), session.place % desk.columns())),
    "row-down": () => goTo(session.place + desk.columns()),
    "next-unreviewed": () => goToNext(isUnreviewed, "All pictures shown are reviewed."),
    "next-suspicious": () =>
      goToNext(
        (position) => isUnreviewed(position) && score(store, session.looks, position) > 0,
        "No label shown looks wrong that is not reviewed.",
      ),
    "go-to": () => {
      leaveSelection();
      desk.open("go-to");
    },

    "range-start": () => {
      if (session.position < 0) {
        say(NOTHING);
        return;
      }
      session.clearSelection();
      session.rangeStart = session.position;
      session.anchor = session.position;
      session.dispatchEvent(new Event("selection"));
      say("A range starts here; ] ends it.");
    },
    "range-end": () => {
      const from = session.rangeStart === null ? -1 : session.order.indexOf(session.rangeStart);
      if (from < 0) {
        say("Start a range first, with [.");
        return;
      }
      session.selectPlaces(from, session.place);
      session.rangeStart = null;
      say(
        `${count(session.selectedCount, "picture")} selected: the next label, or X, is for all of them.`,
      );
    },
    "extend-back": () => (session.place > 0 ? session.extendTo(session.place - 1) : sayEnd()),
    "extend-on": () =>
      session.place < session.order.length - 1 ? session.extendTo(session.place + 1) : sayEnd(),
    "select-all": () => {
      if (!session.order.length) {
        say(NOTHING);
        return;
      }
      session.selectPlaces(0, session.order.length - 1);
      say(`${count(session.selectedCount, "picture")} selected: all that the filter shows.`);
    },
    clear: () => {
      player.stop();
      session.clearSelection();
    },

    play: () => play(1),
    "play-back": () => play(-1),
    faster: () => player.changeRate(1),
    slower: () => player.changeRate(-1),

    "switch-view": () => session.show(session.view === "grid" ? "single" : "grid"),
    histogram: () => desk.togglePanel(),
    review: () =>
      session.view === "review"
        ? say("This is the review: its button writes the new label file.")
        : session.show("review"),
    help: () => desk.open("help"),
  };

  return Object.fromEntries(
    Object.entries(actions).map(([name, act]) => [
      name,
      (value) =>
        ANYWHERE.includes(name) || showsPictures(session.view)
          ? act(value)
          : say("Open Single or Grid first (V)."),
    ]),
  );
}

/** @param {Operation} operation */
export function sizeOf(operation) {
  return operation.positions.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}
