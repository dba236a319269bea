// Tokens of an issuer, and browser tokens, on real hosts. The issuer and the provider are played here.
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createServer } from 'node:http';
import { Gateway, key, sha256, variable } from '../gateway.mjs';

const PAGE = 'http://app.localhost:3000';
const ISSUER = 'http://127.0.0.1:28772';
const EDGE = 'https://edge.acme.dev';
const MOVING = 'https://moving.acme.dev';
const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const pause = (ms) => new Promise((over) => setTimeout(over, ms));

function listening(port, answer) {
  const server = createServer(answer);
  return new Promise((ready) => server.listen(port, '127.0.0.1', () => ready(server)));
}

/** By the kind of a key: its algorithm, how one is made, and how it signs. */
const KINDS = {
  rsa: { alg: 'RS256', options: { modulusLength: 2048 }, digest: 'sha256' },
  ec: { alg: 'ES256', options: { namedCurve: 'P-256' }, digest: 'sha256' },
  ed25519: { alg: 'EdDSA', options: {}, digest: null },
};
const newKey = (kind) => generateKeyPairSync(kind, KINDS[kind].options);
const signed = (text, key) => sign(KINDS[key.asymmetricKeyType].digest, text, { key, dsaEncoding: 'ieee-p1363' });

class Issuer {
  asked = 0;
  keys = {};

  async start() {
    this.rotate('k1', 'rsa');
    this.keys.e1 = newKey('ec');
    this.keys.d1 = newKey('ed25519');
    this.server = await listening(28772, (request, reply) => {
      this.asked += 1;
      const keys = Object.entries(this.keys).map(([kid, { publicKey }]) => (
        { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: KINDS[publicKey.asymmetricKeyType].alg }));
      reply.writeHead(request.url === '/jwks' ? 200 : 404, { 'content-type': 'application/json' });
      reply.end(JSON.stringify({ keys }));
    });
  }

  /** From now on there is that key alone. */
  rotate(kid, kind) {
    this.keys = { [kid]: newKey(kind) };
    this.kid = kid;
  }

  /** Header and claims. */
  text(change, header) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: ISSUER, aud: 'https://gw.acme.dev', iat: now, nbf: now, exp: now + 600, sub: 'u-7',
      owner_id: 'team_1', project_id: 'prj_1', environment: 'production', ...change,
    };
    return `${encode(header)}.${encode(claims)}`;
  }

  token(change = {}, header = {}, { privateKey } = this.keys[header.kid] ?? this.keys[this.kid]) {
    const { alg } = KINDS[privateKey.asymmetricKeyType];
    const text = this.text(change, { alg, kid: this.kid, ...header });
    return `${text}.${signed(text, privateKey).toString('base64url')}`;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }
}

class World {
  issuer = new Issuer();
  keys = { app: key(), admin: key() };

  constructor(host) {
    this.host = host;
    this.gateway = new Gateway({
      host, suite: 'frontend', port: 28770,
      worker: host === 'spin' ? undefined : variable('MOEGATE_FRONTEND_WORKER', 'clients'),
      component: host === 'spin' ? variable('MOEGATE_FRONTEND_SPIN', 'clients') : undefined,
      secrets: {
        TOKEN_SECRET: randomBytes(32).toString('hex'),
        APP_KEY_SHA256: sha256(this.keys.app), ADMIN_KEY_SHA256: sha256(this.keys.admin),
      },
    });
  }

  async start() {
    await this.issuer.start();
    this.provider = await listening(28771, (request, reply) => {
      request.resume().on('end', () => {
        reply.writeHead(200, { 'content-type': 'application/json' });
        reply.end(JSON.stringify({
          id: 'c', object: 'chat.completion', model: 'far',
          choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
          usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 },
        }));
      });
    });
    await this.gateway.start();
  }

  async send(method, path, token, { page, body } = {}) {
    const headers = { authorization: `Bearer ${token}`, ...(page && { origin: page }), ...(body && { 'content-type': 'application/json' }) };
    const reply = await fetch(`${this.gateway.url}${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await reply.text();
    return { status: reply.status, headers: reply.headers, text, json: () => JSON.parse(text) };
  }

  chat(token, model = 'far', page = undefined) {
    const body = { model, max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] };
    return this.send('POST', '/v1/chat/completions', token, { page, body });
  }

  async record(id) {
    const reply = await this.send('GET', `/requests/${id}`, this.keys.admin);
    assert.equal(reply.status, 200, reply.text);
    return JSON.stringify(reply.json());
  }

  async stop() {
    await this.gateway.stop();
    await this.issuer.stop();
    this.provider.closeAllConnections();
    await new Promise((closed) => this.provider.close(closed));
  }
}

const cases = {
  async 'an issuer\'s token is the key, and its keys are fetched once for requests at once'(world) {
    const replies = await Promise.all(Array.from({ length: 8 }, () => world.chat(world.issuer.token())));
    assert.deepEqual(replies.map(({ status }) => status), Array(8).fill(200), replies.find(({ status }) => status !== 200)?.text);
    if (world.host === 'workerd') assert.equal(world.issuer.asked, 1);
    const record = await world.record(replies[0].headers.get('x-moegate-request-id'));
    for (const part of ['"web"', '"acme"', '"u-7"', '"production"']) assert.ok(record.includes(part), record);
  },

  async 'forged tokens are refused, and why is said'(world) {
    const { issuer } = world;
    const now = Math.floor(Date.now() / 1000);
    const other = newKey('rsa');
    const [head, claims, signature] = issuer.token().split('.');
    const text = (alg) => `${encode({ alg, kid: issuer.kid })}.${claims}`;
    const pem = issuer.keys[issuer.kid].publicKey.export({ format: 'pem', type: 'spki' });
    const forged = [
      [`${text('none')}.`, '`none`'],
      [`${text('HS256')}.${createHmac('sha256', pem).update(text('HS256')).digest('base64url')}`, '`HS256`'],
      [`${text('RS256')}.${createHmac('sha256', pem).update(text('RS256')).digest('base64url')}`, 'signature'],
      [issuer.token({}, {}, other), 'signature'],
      // 340 of its 342 characters: whole bytes.
      [`${head}.${claims}.${signature.slice(0, -2)}`, 'signature'],
      [`${head}.${encode({ ...JSON.parse(Buffer.from(claims, 'base64url')), sub: 'root' })}.${signature}`, 'signature'],
      [issuer.token({}, { kid: 'k9' }), '`kid`'],
      [issuer.token({}, { jwk: other.publicKey.export({ format: 'jwk' }) }, other), 'signature'],
      [issuer.token({ iss: `${ISSUER}.evil.example` }), '`iss`'],
      [issuer.token({ aud: 'https://vercel.com/acme' }), '`aud`'],
      [issuer.token({ aud: ['https://gw.acme.dev', 'https://other.example'] }), 'several audiences'],
      [issuer.token({ owner_id: 'team_2' }), '`owner_id`'],
      [issuer.token({ project_id: 'prj_2' }), '`project_id`'],
      [issuer.token({ environment: 'preview' }), '`environment`'],
      [issuer.token({ exp: now - 60 }), 'expired'],
      [issuer.token({ exp: undefined }), '`exp`'],
      [issuer.token({ nbf: now + 120 }), '`nbf`'],
      [issuer.token({ pad: 'x'.repeat(7000) }), '8 KiB'],
    ];
    for (const [token, part] of forged) {
      const { status, text: body } = await world.chat(token);
      assert.equal(status, 401, body);
      assert.ok(JSON.parse(body).error.message.includes(part), `${part}: ${body}`);
    }
  },

  async 'ES256 and EdDSA where the key names them'(world) {
    const { issuer } = world;
    for (const kid of ['e1', 'd1']) {
      const reply = await world.chat(issuer.token({ aud: EDGE }, { kid }));
      assert.equal(reply.status, 200, reply.text);
      const record = await world.record(reply.headers.get('x-moegate-request-id'));
      for (const part of ['"edge"', '"u-7"']) assert.ok(record.includes(part), record);
    }
    const big = (bytes) => BigInt(`0x${bytes.toString('hex')}`);
    const bytes = (number) => Buffer.from(number.toString(16).padStart(64, '0'), 'hex');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const edOrder = 2n ** 252n + 27742317777372353535851937790883648493n;
    /** With another signature, made of the right one. */
    const changed = (kid, change) => {
      const token = issuer.token({ aud: EDGE }, { kid });
      const [head, claims, signature] = token.split('.');
      const whole = Buffer.from(signature, 'base64url');
      return `${head}.${claims}.${change(whole.subarray(0, 32), whole.subarray(32)).toString('base64url')}`;
    };
    // The other signature of the same message.
    const mirrored = await world.chat(changed('e1', (r, s) => Buffer.concat([r, bytes(order - big(s))])));
    assert.equal(mirrored.status, 200, mirrored.text);
    const zero = Buffer.alloc(32);
    const hmac = (alg, kid, secret) => {
      const text = issuer.text({ aud: EDGE }, { alg, kid });
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
    };
    const pem = (kid) => issuer.keys[kid].publicKey.export({ format: 'pem', type: 'spki' });
    const forged = [
      // Not in the list of the key that the audience is of.
      [issuer.token({}, { kid: 'e1' }), '`ES256`'],
      [issuer.token({}, { kid: 'd1' }), '`EdDSA`'],
      // What the first of the issuer's keys says, which is of another audience.
      [issuer.token({ aud: EDGE }), '`aud`'],
      [`${issuer.text({ aud: EDGE }, { alg: 'none', kid: 'e1' })}.`, '`none`'],
      [hmac('HS256', 'e1', pem('e1')), '`HS256`'],
      [hmac('ES256', 'e1', pem('e1')), 'signature'],
      [hmac('EdDSA', 'd1', pem('d1')), 'signature'],
      // In the list, and the key is of another kind.
      [issuer.token({ aud: EDGE }, { kid: 'd1', alg: 'ES256' }), '`kid`'],
      [issuer.token({ aud: EDGE }, { kid: 'e1', alg: 'EdDSA' }), '`kid`'],
      [issuer.token({ aud: EDGE }, { kid: 'k1', alg: 'ES256' }), '`kid`'],
      [issuer.token({ aud: EDGE }, { kid: 'd1' }, issuer.keys.e1).replace(/^[^.]*/, encode({ alg: 'EdDSA', kid: 'd1' })), 'signature'],
      [issuer.token({ aud: EDGE }, { kid: 'e1' }, newKey('ec')), 'signature'],
      [issuer.token({ aud: EDGE }, { kid: 'd1' }, newKey('ed25519')), 'signature'],
      // Signatures that are none.
      [changed('e1', (_, s) => Buffer.concat([zero, s])), 'signature'],
      [changed('e1', (r) => Buffer.concat([r, zero])), 'signature'],
      [changed('e1', (_, s) => Buffer.concat([bytes(order), s])), 'signature'],
      [changed('e1', (r, s) => Buffer.concat([Buffer.from('30440220', 'hex'), r, Buffer.from('0220', 'hex'), s])), 'signature'],
      [changed('e1', (r) => r), 'signature'],
      [changed('d1', (r, s) => Buffer.concat([r, bytes(big(Buffer.from(s).reverse()) + edOrder).reverse()])), 'signature'],
      [changed('d1', (r, s) => Buffer.concat([r, s.subarray(1)])), 'signature'],
    ];
    for (const [token, part] of forged) {
      const { status, text } = await world.chat(token);
      assert.equal(status, 401, text);
      assert.ok(JSON.parse(text).error.message.includes(part), `${part}: ${text}`);
    }
  },

  async 'a page\'s token does what it says, and no more'(world) {
    const wanted = { models: ['far'], origin: PAGE, user: 'u-1', requests: 3, ttl: 60, dollars: '1' };
    for (const parent of [world.keys.app, world.issuer.token()]) {
      const made = await world.send('POST', '/v1/tokens', parent, { body: wanted });
      assert.equal(made.status, 200, made.text);
      const { token } = made.json();
      assert.equal((await world.chat(token, 'other', PAGE)).status, 403);
      assert.equal((await world.chat(token, 'far')).status, 403);
      assert.equal((await world.chat(token, 'far', 'http://evil.localhost')).status, 403);
      // More at once than it has requests.
      const replies = await Promise.all(Array.from({ length: 6 }, () => world.chat(token, 'far', PAGE)));
      assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 200, 200, 402, 402, 402]);
      for (const { headers } of replies) {
        assert.equal(headers.get('access-control-allow-origin'), PAGE);
        assert.ok(headers.get('x-moegate-request-id'));
      }
      const good = replies.find(({ status }) => status === 200);
      const record = await world.record(good.headers.get('x-moegate-request-id'));
      assert.ok(record.includes(parent === world.keys.app ? '"u-1"' : '"u-7"'), record);
      assert.equal((await world.send('POST', '/v1/tokens', token, { page: PAGE, body: wanted })).status, 403);
      assert.ok([401, 403].includes((await world.send('GET', '/usage', token, { page: PAGE })).status));
      const forged = `${token.slice(0, -1)}${token.endsWith('0') ? '1' : '0'}`;
      assert.equal((await world.chat(forged, 'far', PAGE)).status, 401);
    }
  },

  async 'a new key of the issuer, of another kind, is found half a minute after the last look, and it may be down then'(world) {
    const old = world.issuer.token({ aud: MOVING });
    const before = await world.chat(old);
    assert.equal(before.status, 200, before.text);
    await pause(30_500);
    world.issuer.rotate('k2', 'ec');
    const reply = await world.chat(world.issuer.token({ aud: MOVING }));
    assert.equal(reply.status, 200, reply.text);
    assert.equal((await world.chat(old)).status, 401);
    const token = world.issuer.token({ aud: MOVING });
    await world.issuer.stop();
    const after = await world.chat(token);
    assert.equal(after.status, 200, after.text);
    await world.issuer.start();
  },
};

let [passed, failed] = [0, 0];
for (const host of ['workerd', 'spin']) {
  const world = new World(host);
  try {
    await world.start();
    for (const [name, act] of Object.entries(cases)) {
      try {
        await act(world);
        passed += 1;
        console.log(`${host}: ${name} ... ok`);
      } catch (error) {
        failed += 1;
        console.log(`${host}: ${name} ... FAILED\n${error.stack ?? error}`);
      }
    }
  } finally {
    await world.stop();
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
