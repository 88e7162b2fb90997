// Light or dark: as the system says, or as chosen in this browser.
const KEPT = "dtmf-shield.look";
export const LOOKS = ["auto", "light", "dark"];

export function look() {
  try {
    const kept = localStorage.getItem(KEPT);
    return LOOKS.includes(kept) ? kept : "auto";
  } catch { return "auto"; }
}

export function wear(name) {
  document.documentElement.dataset.look = name;
}

export function rememberLook(name) {
  try { localStorage.setItem(KEPT, name); } catch { /* storage is forbidden: it lasts as long as the page */ }
}
