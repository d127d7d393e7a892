// Shows the pictures and the state of the drive; when the car is gone, waits for it to come back.

const ASKS_EVERY_MS = 200;
const TRIES_AGAIN_AFTER_MS = 1000;

const element = (id) => document.getElementById(id);
const picture = element("picture");
const guides = element("guides");

/** A bar from the middle: value is -1 to 1. */
function fill(id, value) {
  const bar = element(id).firstElementChild;
  const share = Math.min(Math.abs(value), 1) * 50;
  bar.style.left = value < 0 ? `${50 - share}%` : "50%";
  bar.style.width = `${share}%`;
  element(`${id}-value`).textContent = value.toFixed(2);
}

function show(state) {
  const progress = state.progress;
  picture.parentElement.style.aspectRatio = `${state.width} / ${state.height}`;
  element("state").textContent = state.state;
  element("stopped").textContent = `nothing is recorded any more: ${progress.stopped}`;
  element("stopped").hidden = !progress.stopped;
  fill("steering", state.steering);
  fill("throttle", state.throttle);
  element("written").textContent = progress.written;
  element("dropped").textContent = progress.dropped;
  element("rate").textContent = state.rate_hz.toFixed(1);
  element("minutes").textContent = state.minutes_left === null ? "–" : Math.round(state.minutes_left);
}

function watch() {
  picture.src = `/pictures?${Date.now()}`;
}

async function ask() {
  let wait = ASKS_EVERY_MS;
  try {
    const state = await (await fetch("/state")).json();
    if (state.progress) show(state);
    if (!element("lost").hidden) watch();
    element("lost").hidden = true;
  } catch {
    element("lost").hidden = false;
    wait = TRIES_AGAIN_AFTER_MS;
  }
  setTimeout(ask, wait);
}

element("show-guides").addEventListener("change", (event) => {
  guides.classList.toggle("shown", event.target.checked);
});
guides.classList.add("shown");
watch();
ask();
