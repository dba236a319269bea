// A value that satisfies a JSON schema, always the same for the same schema: JSON Schema 2020-12, and the OpenAPI subset
// that Gemini takes (types in capitals, `nullable`).

const TEXT = 'text';

function resolved(schema, root) {
  if (typeof schema?.$ref !== 'string') return schema ?? {};
  return schema.$ref.replace(/^#\/?/, '').split('/').filter(Boolean).reduce((at, name) => at?.[name], root) ?? {};
}

export function sample(schema, root = schema) {
  const one = resolved(schema, root);
  if (one.const !== undefined) return one.const;
  if (Array.isArray(one.enum)) return one.enum[0];
  const choices = one.anyOf ?? one.oneOf;
  if (choices) return sample(choices[0], root);
  if (one.allOf) return Object.assign({}, ...one.allOf.map((part) => sample(part, root)));
  const type = `${Array.isArray(one.type) ? one.type[0] : one.type ?? (one.properties ? 'object' : 'string')}`.toLowerCase();
  switch (type) {
    case 'object': {
      const names = one.required ?? Object.keys(one.properties ?? {});
      return Object.fromEntries(names.map((name) => [name, sample(one.properties?.[name], root)]));
    }
    case 'array':
      return Array.from({ length: Math.max(1, Number(one.minItems ?? 1)) }, () => sample(one.items ?? {}, root));
    case 'number':
    case 'integer':
      return Math.max(one.minimum ?? -Infinity, Math.min(7, one.maximum ?? 7));
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return TEXT.padEnd(one.minLength ?? 0, 't').slice(0, one.maxLength ?? Infinity);
  }
}
