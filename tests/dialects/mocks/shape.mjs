// Strict shapes of request bodies: what a member may hold, and the first thing that is wrong, as a `Flaw` that each
// mock provider words as its service does.

/** What is wrong with a body. `kind`: `missing`, `unknown`, `type` or `value`; `path`: member names and indices. */
export class Flaw extends Error {
  constructor(kind, path, detail) {
    super(`${kind} at ${path.join('.')}: ${detail ?? ''}`);
    Object.assign(this, { kind, path, detail });
  }
}

const named = (value) => (value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`);
const typed = (what, test) => (value, path) => {
  if (!test(value)) throw new Flaw('type', path, { expected: what, found: named(value) });
};

export const any = () => {};
export const string = typed('a string', (value) => typeof value === 'string');
export const boolean = typed('a boolean', (value) => typeof value === 'boolean');
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
export const json = typed('an object', isObject);

export const number = (least = -Infinity, most = Infinity) => (value, path) => {
  typed('a number', (one) => typeof one === 'number')(value, path);
  if (value < least || value > most) throw new Flaw('value', path, { least, most, found: value });
};
export const integer = (least = -Infinity, most = Infinity) => (value, path) => {
  typed('an integer', Number.isInteger)(value, path);
  number(least, most)(value, path);
};
export const filled = (value, path) => {
  string(value, path);
  if (value === '') throw new Flaw('value', path, { empty: true, found: value });
};
export const matching = (pattern) => (value, path) => {
  string(value, path);
  if (!pattern.test(value)) throw new Flaw('value', path, { pattern: pattern.source, found: value });
};
export const base64 = (value, path) => {
  string(value, path);
  if (value === '' || Buffer.from(value, 'base64').toString('base64') !== value) throw new Flaw('value', path, { base64: true, found: value.slice(0, 20) });
};
export const oneOf = (...values) => (value, path) => {
  if (!values.includes(value)) throw new Flaw('value', path, { allowed: values, found: value });
};
export const array = (item, least = 0) => (value, path) => {
  typed('an array', Array.isArray)(value, path);
  if (value.length < least) throw new Flaw('value', path, { items: least, found: value.length });
  value.forEach((one, index) => item(one, [...path, index]));
};
export const map = (item) => (value, path) => {
  json(value, path);
  for (const [name, one] of Object.entries(value)) item(one, [...path, name]);
};
export const nullable = (shape) => (value, path) => value === null || shape(value, path);

/** An object with these members and no other. `nulls`: an optional member may be null, which is as if it was absent. `others`: what is not named passes. */
export const object = (required, optional = {}, { nulls = false, others = false } = {}) => (value, path) => {
  json(value, path);
  for (const name of Object.keys(value)) {
    if (!others && !(name in required) && !(name in optional)) throw new Flaw('unknown', [...path, name]);
  }
  for (const [name, shape] of Object.entries(required)) {
    if (value[name] === undefined) throw new Flaw('missing', [...path, name]);
    shape(value[name], [...path, name]);
  }
  for (const [name, shape] of Object.entries(optional)) {
    if (value[name] === undefined || (nulls && value[name] === null)) continue;
    shape(value[name], [...path, name]);
  }
};

/** An object whose member `tag` names its shape. */
export const tagged = (tag, shapes, absent) => (value, path) => {
  json(value, path);
  const name = value[tag] ?? absent;
  if (name === undefined) throw new Flaw('missing', [...path, tag]);
  if (!Object.hasOwn(shapes, name)) throw new Flaw('value', [...path, tag], { allowed: Object.keys(shapes), found: name });
  shapes[name](value, path);
};

/** An object with exactly one of these members (a union of AWS, a oneof of protobuf), and perhaps some of `beside`. */
export const union = (shapes, beside = {}) => (value, path) => {
  json(value, path);
  const names = Object.keys(value).filter((name) => value[name] !== undefined);
  const chosen = names.filter((name) => name in shapes);
  for (const name of names) {
    if (!(name in shapes) && !(name in beside)) throw new Flaw('unknown', [...path, name]);
  }
  if (chosen.length !== 1) throw new Flaw('value', path, { exactly: Object.keys(shapes), found: chosen });
  for (const name of names) (shapes[name] ?? beside[name])(value[name], [...path, name]);
};

/** Either a string or the other shape. */
export const textOr = (shape) => (value, path) => (typeof value === 'string' ? undefined : shape(value, path));
