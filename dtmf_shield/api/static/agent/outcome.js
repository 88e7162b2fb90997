// Draws how a capture ended into its box; each page says with its own lines what that means for whoever reads it.
import { make, redraw } from "../shared/elements.js";
import { t } from "../shared/i18n.js";
import { icon } from "../shared/icons.js";
import { resultLook } from "./words.js";

// level: the heading's element; lines: from the outcome to the nodes below the heading.
export function drawOutcome(box, outcome, level, lines) {
  box.hidden = !outcome;
  if (!outcome) return;
  const look = resultLook(outcome.result);
  const title = t(`result.${outcome.result}`);
  box.className = `outcome ${look}`;
  box.dataset.result = outcome.result;
  redraw(box, JSON.stringify([title, outcome]), () => {
    const heading = make(level, "", title);
    heading.id = "outcome-title";
    if (outcome.test) heading.append(" ", make("span", "test", t("result.test")));
    return [icon(look), heading, ...lines(outcome)];
  });
}
