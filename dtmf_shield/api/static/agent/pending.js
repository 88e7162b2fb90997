// Commands on their way to the service: one of a kind in a call at a time, since a second press is the same wish.
// One that was taken stays until an event shows what came of it. Plain data, no DOM.

// What an event changes by each command; of another command nothing is waited for.
const MARKS = {
  start: (call) => call?.capture?.id ?? "",
  pay: (call) => `${call?.capture?.id} ${Boolean(call?.capture?.can_pay && !call.capture.outcome)}`,
};

// One field's Reset is another command than the next one's.
export const commandOf = ({ command, field }) => (field ? `${command} ${field}` : command);

export function isPending(state, call, what) {
  return state.pending.some((one) => one.call === call?.id && one.what === what);
}

export function asked(state, call, what) {
  const mark = MARKS[what]?.(call) ?? null;
  return { ...state, pending: [...state.pending, { call: call.id, what, mark, taken: false }] };
}

// taken: the service carries it out.
export function answered(state, call, what, taken) {
  const pending = state.pending.filter((one) => taken || one.call !== call.id || one.what !== what);
  return settled({ ...state, pending: pending.map((one) => (
    one.call === call.id && one.what === what ? { ...one, taken: true } : one
  )) });
}

// Without those of which the page shows what came of them, or whose call is gone.
export function settled(state) {
  const waits = ({ call, what, mark, taken }) => (
    state.calls.has(call) && (!taken || (mark !== null && MARKS[what](state.calls.get(call)) === mark))
  );
  const pending = state.pending.filter(waits);
  return pending.length === state.pending.length ? state : { ...state, pending };
}
