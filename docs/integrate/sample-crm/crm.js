// What a CRM does with the panel: asks it to start, and writes down what it tells. No card data is here to be handled.
const ORDER = { amount_minor: 4250, currency: "GBP", reference: "88-1932" };
const LINES_MAX = 12;
const at = (id) => document.getElementById(id);
const panel = at("capture");
let ready = false;
let state = null;
const ends = new Map();  // how each try for this order ended, by capture: an unknown one may become another later
const CLOSED = {
  approved: "This order is paid.",
  unknown: "Nobody knows yet whether this order is paid: do not take payment again.",
  velocity: "Too many cards were tried: take no further card.",
};
const BUSY = ["idle", "waiting", "keying", "paused", "held", "choosing", "sending", "paying", "settling"];

function log(kind, words) {
  const line = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = kind;
  line.append(name, words);
  at("log").prepend(line);
  while (at("log").children.length > LINES_MAX) at("log").lastChild.remove();
}

// After these ends nothing more is taken for the order, whatever call is up.
const closed = () => Object.keys(CLOSED).find((end) => [...ends.values()].includes(end));

function mayTake() {
  return ready && !closed() && state?.state === "talking" && state.shield === "on" && !BUSY.includes(state.capture_state);
}

function draw() {
  at("take").setAttribute("aria-disabled", String(!mayTake()));
  at("on-call").hidden = state?.state !== "talking";
  const words = closed() ? CLOSED[closed()] : !ready ? "Sign in to the panel first." : state?.state !== "talking" ? "Waiting for a call."
    : state.shield !== "on" ? "Not while the shield is not confirmed."
    : BUSY.includes(state.capture_state) ? "The caller keys the card. You hear no tone."
    : ["refused", "not_ready"].includes(state.start) ? "The panel did not start it." : "";
  if (at("note").textContent !== words) at("note").textContent = words;
}

panel.addEventListener("dtmf-shield-ready", ({ detail }) => {
  ready = detail.signed_in;
  log("ready", detail.signed_in ? "The panel is signed in" : "The panel asks to sign in");
  draw();
});

panel.addEventListener("dtmf-shield-state", ({ detail }) => {
  state = detail;
  log("state", [`call ${detail.state ?? "none"}`, detail.capture_state && `capture ${detail.capture_state}`,
    `shield ${detail.shield}`, detail.start && `start ${detail.start}`].filter(Boolean).join(", "));
  draw();
});

panel.addEventListener("dtmf-shield-field", ({ detail }) => {
  const card = [detail.brand, detail.last4 && `ending ${detail.last4}`].filter(Boolean).join(" ");
  log("field", [`${detail.field}: ${detail.state}`, detail.count !== null && `${detail.count} keys`, card].filter(Boolean).join(", "));
});

panel.addEventListener("dtmf-shield-result", ({ detail }) => {
  log("result", [detail.reference && `for ${detail.reference}`, detail.state, detail.token_reference].filter(Boolean).join(", "));
  // The panel tells the agent's every result. This order's are those that bear its reference: of a start of this page, of
  // another card that the flow or the agent asked for after it, and also where this page was loaded again since.
  if (detail.reference !== ORDER.reference) return;
  ends.set(detail.capture, detail.state);
  const card = detail.last4 ? ` Card ending ${detail.last4}.` : "";
  const done = { approved: "Paid.", token: "Card stored." }[detail.state];
  if (done) at("paid").textContent = `${done}${card} Reference ${detail.token_reference ?? "none"}`;
  at("paid").hidden &&= !done;
  draw();
});

at("take").addEventListener("click", () => {
  if (!mayTake()) return;
  panel.start(ORDER);
  panel.focusPanel();
});

draw();
