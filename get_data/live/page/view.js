// Shows the pictures and the state of the drive, and reconnects when the car was out of reach.

const POLL_MS = 200;
const RETRY_MS = 1000;

/**
 * The answer of `/state`, which is `{}` until the first picture is taken; see view_server.py.
 * @typedef {object} DriveState
 * @property {number} steering  -1 .. 1
 * @property {number} throttle  -1 .. 1
 * @property {string} state     what the car is doing, for people
 * @property {boolean} recording  whether the drive records now
 * @property {{written: number, dropped: number, erased: number, stopped: string}} progress
 *   pictures so far; `stopped`: why recording has ended, else ""
 * @property {number} width     of a picture, pixels
 * @property {number} height
 * @property {number} rate_hz   pictures written a second
 * @property {number | null} minutes_left  until the disk is full; null while unknown
 */

/**
 * Return the page's first element that a CSS selector matches.
 * @template {HTMLElement} Kind
 * @param {string} selector
 * @param {new () => Kind} kind  its class
 */
function find(selector, kind) {
  const found = document.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} ${selector}`);
  return found;
}

/** @param {string} id */
function element(id) {
  return find(`#${id}`, HTMLElement);
}

const picture = find("#picture", HTMLImageElement);
const frame = find("figure", HTMLElement);
const guides = element("guides");

/**
 * Fill a bar from its middle to the value.
 * @param {string} id
 * @param {number} value  -1 .. 1
 */
function fillBar(id, value) {
  const share = Math.min(Math.abs(value), 1) * 50;
  const { style } = find(`#${id} b`, HTMLElement);
  style.left = value < 0 ? `${50 - share}%` : "50%";
  style.width = `${share}%`;
  element(`${id}-value`).textContent = value.toFixed(2);
}

/** @param {DriveState} state */
function showState(state) {
  const { progress, minutes_left: minutesLeft } = state;
  frame.style.aspectRatio = `${state.width} / ${state.height}`;
  element("state").textContent = state.state;
  element("stopped").textContent = `Recording has stopped: ${progress.stopped}`;
  element("stopped").hidden = !progress.stopped;
  fillBar("steering", state.steering);
  fillBar("throttle", state.throttle);
  element("written").textContent = String(progress.written);
  element("dropped").textContent = String(progress.dropped);
  element("rate").textContent = state.recording ? state.rate_hz.toFixed(1) : "–";
  element("minutes").textContent = minutesLeft === null ? "–" : String(Math.round(minutesLeft));
}

/** Open the stream of pictures, past any cache. */
function openStream() {
  picture.src = `/pictures?${Date.now()}`;
}

/** Fetch the state, show it, and do so again after a while. */
async function poll() {
  const lost = element("lost");
  let wait = POLL_MS;
  try {
    /** @type {DriveState | {progress?: undefined}} */
    const state = await (await fetch("/state")).json();
    if (state.progress) showState(state);
    // The stream of pictures ended with the connection.
    if (!lost.hidden) openStream();
    lost.hidden = true;
  } catch {
    lost.hidden = false;
    wait = RETRY_MS;
  }
  setTimeout(poll, wait);
}

const showGuides = find("#show-guides", HTMLInputElement);
showGuides.addEventListener("change", () => guides.classList.toggle("shown", showGuides.checked));
guides.classList.add("shown");
openStream();
poll();
