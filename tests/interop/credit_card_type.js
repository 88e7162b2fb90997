// Prints, for every six-digit prefix, the brands credit-card-type leaves possible: "first last brand brand ..." a run.
// A pattern longer than the prefix stays possible; among those that match wholly the longest wins, as it does there.
const creditCardType = require("credit-card-type");

const alive = (prefix) => {
  const found = creditCardType(prefix);
  const best = Math.max(0, ...found.map((type) => type.matchStrength || 0));
  return found
    .filter((type) => !type.matchStrength || type.matchStrength === best)
    .map((type) => type.type)
    .sort()
    .join(" ");
};

let start = 0;
let brands = alive("000000");
for (let number = 1; number <= 1000000; number += 1) {
  const now = number < 1000000 ? alive(String(number).padStart(6, "0")) : null;
  if (now !== brands) {
    console.log(`${start} ${number - 1} ${brands}`.trim());
    start = number;
    brands = now;
  }
}
