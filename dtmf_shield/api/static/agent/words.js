// Every word the page shows for a state; nothing here knows a digit.
export const CALL_STATES = {
  ringing: "Ringing", early: "Ringing", talking: "Talking", held: "On hold", ended: "Ended",
};

export const SHIELD = {
  on: "Shield ON – keypad tones removed",
  off: "Shield OFF – this call has ended",
  unknown: "Shield not confirmed – no connection",
  fault: "Shield FAULT – stop taking card details",
};

export const SHIELD_MODES = { mute: "silenced", guard: "guarded", capture: "masked for capture" };

const BRANDS = {
  visa: "Visa", mastercard: "Mastercard", amex: "American Express", maestro: "Maestro", discover: "Discover",
  diners: "Diners Club", jcb: "JCB", unionpay: "UnionPay", dankort: "Dankort", mir: "Mir", verve: "Verve",
  rupay: "RuPay", elo: "Elo", troy: "Troy", hiper: "Hiper", hipercard: "Hipercard", naranja: "Naranja",
};

const REASONS = {
  timeout: "No keys received, ask again", too_short: "Too short", too_long: "Too long",
  luhn: "Check digit wrong", brand: "Card type not taken", expired: "Expired", too_far: "Date too far ahead",
  format: "Not a date", range: "Outside what is taken", check: "Check digits wrong",
};

export const RESULTS = {
  token: ["good", "Approved", "The card is stored with the payment service."],
  approved: ["good", "Payment approved", "The amount has been taken, or is held on the card."],
  action_required: ["bad", "Another card needed", "The bank wants a step that a telephone has not. Nothing was taken."],
  velocity: ["bad", "Stopped", "Too many cards were tried. Nothing was sent; tell your supervisor."],
  declined: ["bad", "Not approved", "The payment service did not accept this card. Another card may be taken."],
  gateway_unreachable: ["bad", "Payment service down", "Nothing was taken. The call goes on; try again later."],
  unknown: ["warn", "Result unknown", "Do not take the card again before it has been checked."],
  attempts_used: ["bad", "Too many wrong entries", "Nothing was taken. You may start again."],
  timed_out: ["bad", "No keys received in time", "Nothing was taken. You may start again."],
  cancelled: ["plain", "Cancelled", "Nothing was taken."],
  caller_gone: ["bad", "Caller has left", "Nothing was taken."],
  interrupted: ["bad", "Capture interrupted", "Nothing was taken. Please try again."],
  completed: ["good", "Done", "The caller has answered. No card was asked for."],
  handed_over: ["plain", "Handed back to you", "No card was sent. Nothing was taken."],
  refused: ["bad", "Refused", "No token was given. If it happens again, tell your administrator."],
};

// How the caller's keys arrive, and what helps.
export const HINTS = {
  duplicate_keys: "Keys arrive twice: ask the caller to press each key once, and to wait a moment before the next.",
  slow_keys: "The caller needs more time: the line waits twice as long now.",
  short_tones: "Key tones are very short: ask the caller to hold each key a little longer.",
  weak_tones: "Key tones are faint: ask the caller to hold each key longer, and not to use a loudspeaker.",
  noisy_line: "The line is noisy: keys may be lost. A quieter place or another phone helps.",
};

// Capture states in which nothing can be changed: what the page says meanwhile.
export const AT_GATEWAY = {
  sending: "Sending", paying: "Payment on its way", settling: "Asking the payment service what it did",
};

export const ALERT_RESULTS = new Set([
  "unknown", "velocity", "action_required", "gateway_unreachable", "caller_gone", "interrupted", "refused", "attempts_used", "timed_out",
]);

export const PROBLEMS = {
  "card-number": "That looks like a card number. It was not kept. Use an order or account reference.",
  "capture-sending": "The card is being sent. Wait for the result.",
  "capture-running": "This call already has a capture running.",
  "capture-over": "That capture has ended. Start a new one.",
  "call-not-talking": "The call is not connected, so no capture can start.",
  "call-not-found": "That call is gone.",
  "captures-full": "No capture can start just now. Try again in a moment.",
  "invalid-request": "The reference may hold letters, digits and dashes, 32 at most, and no card number.",
  "nothing-to-pay": "The caller has not come to the point where the payment is taken.",
  "input-refused": "The flow does not take that.",
  "amount-needed": "This payment needs an amount. Start it from your desktop program.",
  "not-signed-in": "Your session has ended. Open a new one-time link.",
};

export const UNANSWERED = "The service did not answer. Nothing was changed; try again.";
export const LOST = "Connection lost, reconnecting";
export const SIGNED_OUT = "Your session has ended. Open a new one-time link to go on.";
export const GATEWAY_DOWN = "Payment service down. Calls go on; cards cannot be stored just now.";

// 1050 EUR as "10.50 EUR", in as many decimals as the currency has.
export function amountWords(minor, currency) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay: "code" });
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export const brandName = (brand) => BRANDS[brand] ?? brand;

// Nothing where the flow shows no count.
export function countWords(field) {
  if (field.count === null) return "";
  const of = field.of ?? (field.count <= field.of_usual ? field.of_usual : null);
  if (of) return `${field.count} of ${of} digits`;
  return field.count === 1 ? "1 digit" : `${field.count} digits`;
}

// [look, words] of one field.
export function fieldWords(field) {
  switch (field.state) {
    case "waiting": return ["", "Waiting for the caller"];
    case "keying": return ["busy", `Keying ${countWords(field)}`.trim()];
    case "valid": return ["good", field.brand ? `${brandName(field.brand)}, valid` : "Valid"];
    case "invalid": return ["bad", REASONS[field.reason] ?? "Not valid"];
    case "timeout": return ["bad", REASONS.timeout];
    default: return ["", "Not started"];
  }
}
