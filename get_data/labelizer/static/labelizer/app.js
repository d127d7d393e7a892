// The page: opens the work and joins its parts.

import { actionsOf, sizeOf } from "./actions.js";
import { Unreachable, WORK, get, post } from "./api.js";
import { byId, field, make, setText } from "./dom.js";
import { Grid } from "./grid.js";
import { buildHelp } from "./help.js";
import { listenToKeys } from "./keyboard.js";
import { keyboardLayout } from "./keys.js";
import { listenToMouse } from "./mouse.js";
import { Outbox } from "./outbox.js";
import { Overview } from "./overview.js";
import { Panel } from "./panel.js";
import { Pictures } from "./pictures.js";
import { Player } from "./player.js";
import { Review } from "./review.js";
import { Session, VIEWS } from "./session.js";
import { Single } from "./single.js";
import { bar, say, showCondition } from "./status.js";
import { Flag, Store } from "./store.js";
import { Looks } from "./suspicion.js";
import { Writer } from "./writer.js";
import { count, nameOf } from "./words.js";

const HEAR_MS = 3000;
const FINDINGS_MS = 1500;
const PLACE_MS = 300; // browsers limit how often the address may change
const LEFT_AT = `labelizer-left-${WORK}`;

/** @returns {Promise<void>} */
async function open() {
  // The secret of the printed address is in a cookie now.
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  const writer = new Writer();
  // In this order: what is done is asked once nobody else does more.
  const begin = () => writer.begin().then(() => get("/api/state"));
  const [entries, state, findings, layout] = await Promise.all([
    get("/api/entries"),
    begin(),
    get("/api/findings"),
    keyboardLayout(),
  ]);
  const outbox = await Outbox.open();
  if (state.outdated) {
    offerReopening(state.outdated, entries, outbox, writer);
    return;
  }
  const store = new Store(entries, state);
  const looks = new Looks(store.count);
  looks.take(findings);
  // What a killed page could not send is done here too, and sent.
  const sent = new Set(
    state.history.map((/** @type {import("./store.js").Operation} */ one) => one.uid),
  );
  for (const { operation } of outbox.waiting) if (!sent.has(operation.uid)) store.take(operation);
  const session = new Session(store, looks);
  const isThere = (/** @type {number} */ position) => !(store.flags[position] & Flag.MISSING);
  const pictures = new Pictures(entries.version, entries.sheet, isThere);
  await run({ entries, outbox, writer, session, pictures, layout });
}

/**
 * @param {{entries: any, outbox: Outbox, writer: Writer, session: Session, pictures: Pictures, layout: Map<string, string>}} parts
 */
async function run({ entries, outbox, writer, session, pictures, layout }) {
  const { store, looks } = session;
  const commit = (/** @type {import("./store.js").Operation} */ operation) =>
    void outbox.add(operation);
  const player = new Player(session, (attribute, value, from, to) => {
    const places = session.order
      .subarray(Math.min(from, to), Math.max(from, to) + 1)
      .slice()
      .sort();
    const operation = store.label(
      store.ofGroup(places, session.position),
      attribute,
      value,
      "painted ",
    );
    if (!operation) return;
    commit(operation);
    session.refresh(session.position);
    say(`${count(sizeOf(operation), "picture")} → ${attribute} ${value} (undo: Ctrl+Z)`);
  });
  const single = new Single(session, pictures, layout, (position) => {
    if (!looks.broken.has(position)) looks.broken.set(position, "the picture cannot be decoded");
    overview.render();
  });
  const grid = new Grid(session, pictures);
  const panel = new Panel(session);
  const showSingle = (/** @type {number} */ position) => {
    if (!session.goToPosition(position)) {
      byId("filter-none").click();
      session.goToPosition(position);
    }
    session.show("single");
  };
  const overview = new Overview(session, entries, layout, showSingle, () => {
    const operation = store.fix(entries.fixes);
    if (operation) commit(operation);
    overview.render();
  });
  const review = new Review(session, () => outbox.unsent, showSingle);
  const mostClasses = {
    direction: store.mostClasses("direction"),
    speed: store.mostClasses("speed"),
  };
  const actions = actionsOf({
    session,
    player,
    commit,
    say,
    open: (dialog) => {
      if (dialog === "help") buildHelp(session.view, mostClasses, (action) => actions[action](-1));
      openDialog(dialog);
    },
    togglePanel: () => togglePanel(),
    shiftBy: () => Math.min(Math.max(Math.trunc(Number(field("shift-by").value)) || 1, 1), 999),
    columns: () => grid.columns,
  });

  const render = {
    overview: () => overview.render(),
    single: () => single.render(),
    grid: () => {
      grid.render();
      grid.reveal();
    },
    review: () => review.render(),
  };
  const keepPlaceNow = () => {
    history.replaceState(null, "", session.toHash());
    outbox.keepPlace(session.toHash());
  };
  const keepPlace = atMostEvery(PLACE_MS, keepPlaceNow);
  const showView = () => {
    for (const view of VIEWS) byId(view).hidden = view !== session.view;
    for (const button of document.querySelectorAll("nav [data-view]")) {
      if (button.getAttribute("data-view") === session.view)
        button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    }
    document.body.dataset.view = session.view;
    if (session.view !== "single") player.stop();
    render[session.view]();
    if (session.view === "grid") byId("scroller").focus({ preventScroll: true });
    keepPlaceNow();
  };
  const on = (
    /** @type {EventTarget} */ target,
    /** @type {string} */ name,
    /** @type {(event: any) => void} */ react,
  ) => target.addEventListener(name, react);

  on(session, "view", showView);
  on(session, "place", () => {
    if (session.view === "single") single.render();
    if (session.view === "grid") grid.reveal();
    panel.renderJson();
    keepPlace();
  });
  on(session, "order", () => {
    panel.renderFilter();
    if (session.view === "single") single.render();
    if (session.view === "grid") render.grid();
    keepPlace();
  });
  on(session, "filter", keepPlaceNow);
  on(window, "pagehide", () => {
    // A reload asks for the address as it was; what is kept here is where one is.
    sessionStorage.setItem(LEFT_AT, session.toHash());
    keepPlaceNow();
  });
  on(session, "selection", () => {
    panel.renderSelection();
    if (session.view === "single") single.renderLabel();
    if (session.view === "grid") grid.renderLabels();
  });
  on(session, "active", () => {
    byId("switch-attribute").replaceChildren(`Digits set ${session.active} `, make("kbd", {}, "T"));
    single.renderLabel();
  });
  on(session, "read-only", () => {
    document.body.classList.toggle("read-only", session.readOnly);
    showCondition(outbox, session.readOnly);
  });
  on(store, "change", () => {
    panel.renderCounts();
    if (session.view === "single") single.renderLabel();
    if (session.view === "grid") grid.renderLabels();
    if (session.view === "review") review.render();
    if (session.view === "overview") overview.render();
  });
  on(outbox, "condition", () => {
    if (outbox.condition === "stale") loseLease();
    if (outbox.condition === "elsewhere") session.setReadOnly(true);
    if (outbox.condition === "locked") writer.release(); // whichever tab is let in goes on
    showCondition(outbox, session.readOnly);
  });
  on(player, "change", () => {
    setText(byId("rate"), `${player.rate}/s`);
    byId("play").replaceChildren(player.playing ? "Stop " : "Play ", make("kbd", {}, "Space"));
    document.body.classList.toggle("playing", player.playing);
    const { painting } = player;
    if (painting) say(`painting ${painting.attribute} ${painting.value} …`);
  });
  on(window, "beforeunload", (event) => {
    if (outbox.needsPage) event.preventDefault();
  });

  const loseLease = () => {
    session.setReadOnly(true);
    outbox.stop();
    const unsent = outbox.unsent
      ? ` ${count(outbox.unsent, "change")} of this tab wait and are sent when you take over.`
      : "";
    bar("stale", `Another tab or browser is labelling this folder; this one only shows.${unsent}`, {
      text: "Take over",
      run: () => writer.takeOverOnReload(),
    });
  };
  writer.onLost = loseLease;

  listenToKeys(session, player, single, actions);
  listenToMouse(session, player, grid, actions);
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.querySelector(".close")?.addEventListener("click", () => dialog.close());
  }
  on(/** @type {HTMLElement} */ (byId("go-to").querySelector("form")), "submit", () => {
    player.stop();
    const wanted = field("go-to-text").value.trim();
    const found =
      /^\d{1,7}$/.test(wanted) && Number(wanted) <= session.order.length
        ? Number(wanted) - 1
        : session.order.findIndex((position) => store.ids[position].startsWith(wanted));
    if (found < 0) say(`Nothing shown is called ${wanted}.`);
    else session.goTo(found);
  });
  // Not location.hash, which may have been written over since.
  on(window, "hashchange", (event) => session.followHash(new URL(event.newURL).hash));
  buildGridLabels(session);

  session.followHash(
    leftAt() ||
      location.hash ||
      (await outbox.keptPlace()) ||
      (overview.hasProblems ? "#view=overview" : "#view=single"),
  );
  panel.renderCounts();
  panel.renderFilter();
  player.dispatchEvent(new Event("change"));
  showView();
  if (writer.epoch) outbox.start(writer.epoch);
  else loseLease();
  showCondition(outbox, session.readOnly);
  watch(outbox, writer, session, overview, player);
  document.body.dataset.ready = "yes";
}

/** @param {Outbox} outbox @param {Writer} writer @param {Session} session @param {Overview} overview @param {Player} player */
function watch(outbox, writer, session, overview, player) {
  const hear = async () => {
    try {
      const answer = await post("/api/hear", { browser: writer.browser, epoch: writer.epoch });
      if (answer.status === 409 || answer.body.why === "key") {
        outbox.refused(answer);
        return;
      }
      const { body } = answer;
      outbox.sourceChanged = Boolean(body.source_changed);
      if (!session.readOnly && body.holds === false) writer.onLost();
      outbox.reachable();
      showCondition(outbox, session.readOnly);
      if (session.readOnly && body.free) await takeOver();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      outbox.unreachable();
    }
  };
  /** Whoever held the lease is gone: a page that is looked at goes on, if no older step of its own would come on top. */
  const takeOver = async () => {
    if (
      document.visibilityState !== "visible" ||
      outbox.unsent ||
      document.querySelector("dialog[open]")
    )
      return;
    if (!(await writer.isLocked())) location.reload();
  };
  setInterval(hear, HEAR_MS);
  const look = async () => {
    try {
      const findings = await get("/api/findings");
      if (!player.playing && session.looks.take(findings)) session.lookAgain();
    } catch {
      // Asked again below.
    }
    overview.render();
    askAgain();
  };
  const askAgain = () => {
    if (session.looks.lookedAt < session.store.count) setTimeout(look, FINDINGS_MS);
  };
  askAgain();
}

/** @param {{decided: number, carried: number}} outdated @param {any} entries @param {Outbox} outbox @param {Writer} writer */
function offerReopening({ decided, carried }, entries, outbox, writer) {
  for (const view of VIEWS) byId(view).hidden = view !== "overview";
  document.body.dataset.view = "outdated";
  setText(byId("overview-title"), entries.labels);
  byId("changed").hidden = false;
  const gone = decided - carried;
  setText(
    byId("changed-what"),
    `${count(decided, "label")} had been worked on. ${carried} of them can be carried over: same picture, same old label.${gone ? ` ${gone} cannot, because they are gone or have another label now.` : ""}`,
  );
  const buttons = ["carry", "anew"].map((how) => /** @type {HTMLButtonElement} */ (byId(how)));
  const show = () => {
    const { condition, epoch } = outbox;
    // What an earlier page left unsent belongs to the work that is carried over.
    for (const button of buttons) button.disabled = !epoch || outbox.unsent > 0;
    if (condition === "saved" && epoch) setText(byId("save-state"), "Waiting for your choice");
    else showCondition(outbox, !epoch);
    if (!epoch && condition !== "elsewhere")
      bar("stale", "Another tab or browser has opened this folder; the choice is made there.", {
        text: "Take over",
        run: () => writer.takeOverOnReload(),
      });
  };
  writer.onLost = () => {
    outbox.stop();
    show();
  };
  outbox.addEventListener("condition", show);
  if (writer.epoch) outbox.start(writer.epoch);
  show();
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      const answer = await post("/api/reopen", { how: button.id, epoch: writer.epoch });
      if (answer.status === 200) location.reload();
      else if (answer.status === 409) outbox.refused(answer);
      else bar("full", answer.body.message);
    });
  }
  document.body.dataset.ready = "yes";
}

/** @param {"help" | "go-to"} name */
function openDialog(name) {
  /** @type {HTMLDialogElement} */ (byId(name)).showModal();
  if (name === "go-to") field("go-to-text").select();
}

function togglePanel() {
  document.body.classList.toggle("without-panel");
  window.dispatchEvent(new Event("resize"));
}

/** Buttons that set the class of what is selected in the grid. @param {Session} session */
function buildGridLabels({ store }) {
  for (const attribute of /** @type {const} */ (["direction", "speed"])) {
    const classes = store.mostClasses(attribute);
    const buttons = Array.from({ length: classes }, (_, value) =>
      make(
        "button",
        {
          type: "button",
          "data-action": attribute,
          "data-value": String(value),
          title: `${attribute} ${value} ${nameOf(attribute, value, classes)}`,
        },
        String(value),
      ),
    );
    byId("grid-label").append(
      make("span", { role: "group", "aria-label": attribute }, `${attribute} `, ...buttons),
    );
  }
}

/** @returns {string} where this tab was when it was reloaded; "" when it was opened in another way */
function leftAt() {
  const left = sessionStorage.getItem(LEFT_AT) ?? "";
  sessionStorage.removeItem(LEFT_AT);
  const [opening] = /** @type {PerformanceNavigationTiming[]} */ (
    performance.getEntriesByType("navigation")
  );
  return opening?.type === "reload" ? left : "";
}

/** @param {number} delay @param {() => void} act @returns {() => void} runs it soon after a call, and not more often */
function atMostEvery(delay, act) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      act();
    }, delay);
  };
}

open().catch((error) => {
  bar("refused", `The page could not be opened: ${error.message}`);
  throw error;
});
