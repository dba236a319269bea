// Checks a request's AWS Signature Version 4. Source: AWS IAM User Guide, "Create a signed AWS API request" (canonical
// request, string to sign, signing key, signature) and "Elements of an AWS API request signature".
import { createHash, createHmac } from 'node:crypto';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');
const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
// Every byte but the unreserved ones, as `encodeURIComponent` leaves some more.
const encoded = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);

function canonicalQuery(raw) {
  if (!raw) return '';
  return raw.split('&').map((pair) => pair.split('=').map(decodeURIComponent)).map(([name, value = '']) => `${encoded(name)}=${encoded(value)}`).sort().join('&');
}

/** Null if the signature is right, else `{ type, message }` of the error. */
export function verify({ method, rawPath, rawQuery, headers, bytes }, { accessKey, secretKey, region, service, sessionToken }) {
  const refused = (type, message) => ({ type, message });
  const pattern = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request,\s*SignedHeaders=([\w;-]+),\s*Signature=([0-9a-f]{64})$/;
  const [, id, day, scopeRegion, scopeService, signedHeaders, signature] = pattern.exec(headers.authorization) ?? [];
  if (!id) return refused('IncompleteSignatureException', 'Authorization header requires Credential, SignedHeaders and Signature.');
  if (id !== accessKey || headers['x-amz-security-token'] !== sessionToken) return refused('UnrecognizedClientException', 'The security token included in the request is invalid.');
  if (scopeRegion !== region || scopeService !== service) return refused('InvalidSignatureException', `Credential should be scoped to a valid region and to the service '${service}'.`);
  const date = headers['x-amz-date'] ?? '';
  const [, year, month, dayOf, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? [];
  if (!year || !date.startsWith(day)) return refused('IncompleteSignatureException', 'Date must be in ISO-8601 basic format, as the credential scope has it.');
  const age = Math.abs(Date.now() - Date.UTC(year, month - 1, dayOf, hour, minute, second));
  if (age > 300_000) return refused('InvalidSignatureException', `Signature expired: ${date} is more than 5 minutes off.`);
  const names = signedHeaders.split(';');
  const sorted = [...names].sort().join(';') === signedHeaders;
  const due = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  if (!sorted || due.some((name) => !names.includes(name))) return refused('InvalidSignatureException', `The headers ${due.join(', ')} must be signed, in order.`);
  const hash = headers['x-amz-content-sha256'] ?? sha256(bytes);
  if (hash !== 'UNSIGNED-PAYLOAD' && hash !== sha256(bytes)) return refused('InvalidSignatureException', "The value of x-amz-content-sha256 does not fit the request's body.");
  // Every service but S3 encodes the path once more than it is on the wire.
  const path = rawPath.split('/').map(encoded).join('/');
  const lines = names.map((name) => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`).join('');
  const canonical = [method, path, canonicalQuery(rawQuery), lines, signedHeaders, hash].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce(hmac, `AWS4${secretKey}`);
  if (hmac(key, toSign).toString('hex') === signature) return null;
  const message = `The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.\n\nThe Canonical String for this request should have been\n'${canonical}'\n\nThe String-to-Sign should have been\n'${toSign}'`;
  return refused('InvalidSignatureException', message);
}
