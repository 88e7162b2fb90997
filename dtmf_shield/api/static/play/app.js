// Both sides of a call for one person: the caller's phone here, the agent's own page in the frame. TEST cards only.
import "../shared/elements.js";
import "../shared/menu.js";
import { emptyState, reduce, running } from "../agent/store.js";
import { setFixedWord, setWords } from "../shared/elements.js";
import { t } from "../shared/i18n.js";
import { remember, speak, wantedLanguage } from "../shared/language.js";
import { pagesOf, whoIsIt } from "../shared/person.js";
import { openStream } from "../shared/stream.js";
import { look, wear } from "../shared/theme.js";
import { PLACES, askedField, drawCall, drawCards, drawChoices, drawEvidence, drawHeard, drawNext, drawParts, nextStep, phaseWords, undoChoice } from "./draw.js";
import { drawKeypad } from "./keypad.js";
import { playPhones } from "./phones.js";

const LEAD = "F2";
const at = (id) => document.getElementById(id);
let desk = emptyState();
let told = null;
let phones = null;
let mayEngineer = false;
let signedOut = false;

// What is being taken in the caller's call, or was last; null: nothing yet.
function capture() {
  const talking = [...desk.calls.values()].filter((one) => one.state === "talking");
  return (talking.find((one) => running(one)) ?? talking.at(-1))?.capture ?? null;
}

function draw() {
  if (!told) return;
  drawCall(told);
  drawCards(told);
  drawParts(keyPart);
  drawChoices(told, choose);
  drawHeard(told);
  drawEvidence(told, mayEngineer);
  drawNext(told, capture());
}

function heardFrom(state) {
  const before = told?.phase;
  const hanging = document.activeElement === at("hangup");
  told = state;
  draw();
  if (hanging && at("hangup").hidden) at("call").focus();  // the call ended without this button
  if (before && before !== state.phase) setWords(at("status"), phaseWords(state));
  if (!signedOut && before !== state.phase && state.phase === "talking") setWords(at("alert"), "");
}

// The phones are started again by the service: the call is over, and this page goes on by itself.
function awayOrBack(away) {
  if (signedOut) return;  // said already, and graver: where the phones are is told to who is signed in
  if (away) {
    setWords(at("alert"), t("play.problem.away"));
    if (told && told.phase !== "away") heardFrom({ ...told, phase: "away", waiting: 0 });
  } else if (!told || told.phase === "away") {
    setWords(at("alert"), "");
  }
}

function followSession(connection) {
  if (signedOut || connection !== "signed-out") return;
  signedOut = true;
  setFixedWord(at("alert"), "alert.signed_out");
  at("signin-again").hidden = false;
}

// Puts the focus where the next step is: here, or in the agent's page, which stands in a frame of this origin.
function lead() {
  if (!told) return;
  const [first, ...others] = PLACES[nextStep(told, capture())];
  const inFrame = first === "frame";
  const page = inFrame ? at("agent").contentDocument : document;
  const found = (inFrame ? others : [first]).map((one) => page.querySelector(one)).find((one) => one?.checkVisibility());
  if (inFrame) at("agent").focus();
  found?.focus();
}

const leadByKey = (event) => {
  if (event.key !== LEAD || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  lead();
};

async function act(path, body) {
  const word = await phones.send(path, body);
  if (!signedOut) setWords(at("alert"), word ? t(`play.problem.${word}`) : "");
  return !word;
}

async function call() {
  if (!await act("/call", { number: at("number").value || told?.dialled[0].number })) return;
  at("hangup").focus();
}

async function hangUp() {
  if (await act("/hangup")) at("call").focus();
}

// What is asked for goes along, so that the evidence can say which field a key was for; never which key it was.
const press = (key) => {
  const asked = nextStep(told ?? { phase: "idle" }, capture()) === "key" ? askedField(capture()) : null;
  return act("/press", { key, field: asked?.kind ?? null });
};
const keyPart = (part) => act("/card", { name: at("card").value, part });

async function choose(name, value) {
  const taken = name === "gateway" ? act("/gateway", { mode: value }) : act("/choose", { ...told.choices, [name]: value });
  if (!await taken) undoChoice(name);
}

function titles() {
  for (const node of document.querySelectorAll("[data-t-title]")) node.title = t(node.dataset.tTitle);
}

function showMenu(person, language) {
  at("menu").show({ person, pages: pagesOf(person), here: "play", language });
}

async function begin() {
  wear(look());
  const person = await whoIsIt();
  mayEngineer = pagesOf(person).some(([name]) => name === "engineer");
  const language = wantedLanguage(person);
  await speak(language);
  titles();
  showMenu(person, language);
  at("menu").addEventListener("language", async (event) => {
    if (!await speak(event.detail)) return;
    remember(event.detail);
    titles();
    showMenu(person, event.detail);
    draw();
    at("agent").contentWindow.location.reload();
  });
  drawKeypad(at("keypad"), press);
  at("call").addEventListener("click", call);
  at("hangup").addEventListener("click", hangUp);
  at("card").addEventListener("change", draw);
  at("there").addEventListener("click", lead);
  document.addEventListener("keydown", leadByKey);
  const inFrame = () => at("agent").contentDocument.addEventListener("keydown", leadByKey);
  at("agent").addEventListener("load", inFrame);
  inFrame();
  phones = playPhones({
    onState: heardFrom,
    onAway: awayOrBack,
  });
  openStream({
    onEvent: (type, data) => { desk = reduce(desk, type, data, Date.now()); draw(); },
    onConnection: followSession,
  });
}

begin();
