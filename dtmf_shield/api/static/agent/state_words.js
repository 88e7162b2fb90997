// What the badge says, worked out of the page's state: in doubt, not "on".
export function badgeState(state) {
  const call = state.calls.get(state.selected);
  if (state.silent) return "fault";
  if (state.service.shield === "fault" || call?.shield?.state === "fault") return "fault";
  if (state.connection !== "live" || state.service.shield === "unknown") return "unknown";
  if (call && call.state === "ended") return "off";
  return call?.shield?.state ?? state.service.shield;
}
