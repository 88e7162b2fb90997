// What a flow must be told before it starts: which fields the form shows, and what their values become.
const OWN_FIELD = "reference";  // has its place in the form already

export function askedInputs(flow) {
  return (flow?.inputs ?? []).filter((input) => input.required && input.name !== OWN_FIELD);
}

export function labelOf(name) {
  const words = name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

// Words of a rule, for the note below a field.
export function ruleOf(input) {
  if (input.type === "money") {
    const range = [input.min && `at least ${input.min}`, input.max && `at most ${input.max}`].filter(Boolean);
    return ["An amount such as 12.50", ...range].join(", ");
  }
  if (input.type === "currency") return "Three capitals, such as GBP";
  if (input.type === "digits") return "Digits only, never a card number";
  return "Never a card number";
}

// [inputs, name of the first that is missing or empty].
export function toldInputs(asked, values, reference) {
  const told = reference ? { [OWN_FIELD]: reference } : {};
  let missing = "";
  for (const { name } of asked) {
    const value = (values[name] ?? "").trim();
    if (value) told[name] = value;
    else missing ||= name;
  }
  return [told, missing];
}
