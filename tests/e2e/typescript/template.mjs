// Placeholders and shapes in what expected/*.json holds.

/** Puts values for `{name}` into every text; a text that is nothing else becomes the value. */
export function fill(template, values) {
  if (Array.isArray(template)) return template.map((item) => fill(item, values));
  if (template !== null && typeof template === "object") {
    return Object.fromEntries(
      Object.entries(template).map(([key, value]) => [key, fill(value, values)]),
    );
  }
  if (typeof template !== "string") return template;
  const whole = /^\{(\w+)\}$/.exec(template)?.[1];
  if (whole in values) return values[whole];
  return template.replace(/\{(\w+)\}/g, (text, name) => (name in values ? values[name] : text));
}

/** Replaces every `{"$shape": name, …values}` by the shape of that name, filled in. */
export function expand(node, shapes) {
  if (Array.isArray(node)) return node.map((item) => expand(item, shapes));
  if (node === null || typeof node !== "object") return node;
  const { $shape: name, ...rest } = node;
  if (name !== undefined) return expand(fill(shapes[name], rest), shapes);
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, expand(value, shapes)]),
  );
}
