// A value that satisfies a JSON schema, always the same for the same schema: JSON Schema 2020-12, and the OpenAPI subset
// that Gemini takes (types in capitals, `nullable`).

const fill = () => 'text';

function resolved(schema, root) {
  if (typeof schema?.$ref !== 'string') return schema ?? {};
  return schema.$ref.replace(/^#\/?/, '').split('/').filter(Boolean).reduce((at, name) => at?.[name], root) ?? {};
}

/** `text(schema, name)`: what stands for a string; `name`: of the property, where there is one. */
export function sample(schema, { root = schema, text = fill, name } = {}) {
  const inner = (part, of = name) => sample(part, { root, text, name: of });
  const one = resolved(schema, root);
  if (one.const !== undefined) return one.const;
  if (Array.isArray(one.enum)) return one.enum[0];
  const choices = one.anyOf ?? one.oneOf;
  if (choices) return inner(choices[0]);
  if (one.allOf) return Object.assign({}, ...one.allOf.map((part) => inner(part)));
  const type = `${Array.isArray(one.type) ? one.type[0] : one.type ?? (one.properties ? 'object' : 'string')}`.toLowerCase();
  switch (type) {
    case 'object': {
      const names = one.required ?? Object.keys(one.properties ?? {});
      return Object.fromEntries(names.map((of) => [of, inner(one.properties?.[of], of)]));
    }
    case 'array':
      return Array.from({ length: Math.max(1, Number(one.minItems ?? 1)) }, () => inner(one.items ?? {}));
    case 'number':
    case 'integer':
      return Math.max(one.minimum ?? -Infinity, Math.min(7, one.maximum ?? 7));
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return text(one, name).padEnd(one.minLength ?? 0, 't').slice(0, one.maxLength ?? Infinity);
  }
}
