// What a CRM does with the panel: asks it to start, and writes down what it tells. No card data is here to be handled.
const ORDER = { amount_minor: 4250, currency: "GBP", reference: "88-1932" };
const LINES_MAX = 12;
const at = (id) => document.getElementById(id);
const panel = at("capture");
let ready = false;
let state = null;
let paid = false;
const BUSY = ["idle", "waiting", "keying", "paused", "held", "choosing", "sending", "paying", "settling"];

function log(kind, words) {
  const line = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = kind;
  line.append(name, words);
  at("log").prepend(line);
  while (at("log").children.length > LINES_MAX) at("log").lastChild.remove();
}

function mayTake() {
  return ready && !paid && state?.state === "talking" && state.shield === "on" && !BUSY.includes(state.capture_state);
}

function draw() {
  at("take").setAttribute("aria-disabled", String(!mayTake()));
  at("on-call").hidden = state?.state !== "talking";
  const words = paid ? "This order is paid." : !ready ? "Sign in to the panel first." : state?.state !== "talking" ? "Waiting for a call."
    : state.shield !== "on" ? "Not while the shield is not confirmed."
    : BUSY.includes(state.capture_state) ? "The caller keys the card. You hear no tone." : "";
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
  log("result", [detail.state, detail.token_reference].filter(Boolean).join(", "));
  const card = detail.last4 ? ` Card ending ${detail.last4}.` : "";
  const done = { approved: "Paid.", token: "Card stored." }[detail.state];
  paid ||= detail.state === "approved";
  at("paid").hidden = !done;
  at("paid").textContent = done ? `${done}${card} Reference ${detail.token_reference ?? "none"}` : "";
  draw();
});

at("take").addEventListener("click", () => {
  if (!mayTake()) return;
  panel.start(ORDER);
  panel.focusPanel();
});

draw();
