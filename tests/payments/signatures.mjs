// What Stripe's Node SDK signs is a webhook, and nothing else is: each request is judged by the SDK too, and the
// gateway has to agree.
//
// usage: node signatures.mjs GATEWAY SECRET NEXT_SECRET    (both secrets are the gateway's)
//
// Needs stripe (by NODE_PATH). Says `NAME ... ok` or `NAME ... FAILED` of each test.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const required = createRequire(import.meta.url)('stripe');
const Stripe = required.Stripe ?? required.default ?? required;
const { webhooks } = new Stripe('sk_test_signatures');

const [gateway, secret, nextSecret] = process.argv.slice(2);
const TOLERANCE_SECONDS = 300;

const now = () => Math.floor(Date.now() / 1000);
let count = 0;
/** An event of which nothing follows; nobody has sent it before. */
const event = (more = {}) => {
  count += 1;
  const object = { id: `prod_${count}`, object: 'product', ...more };
  return JSON.stringify({
    id: `evt_node_${process.pid}_${count}`, object: 'event', type: 'product.created', created: now(), livemode: false,
    api_version: '2026-09-30.endive', pending_webhooks: 1, request: null, data: { object },
  });
};
const sign = (payload, more = {}) => webhooks.generateTestHeaderString({ payload, secret, ...more });

async function send(body, header) {
  const answer = await fetch(`${gateway}/webhooks/stripe`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(header !== undefined && { 'stripe-signature': header }) },
    body,
    signal: AbortSignal.timeout(10_000),
  });
  return answer.status;
}

/** What the SDK says: one of the secrets fits. */
const isGenuine = (body, header) =>
  [secret, nextSecret].some((one) => {
    try {
      webhooks.constructEvent(body, header, one, TOLERANCE_SECONDS);
      return true;
    } catch {
      return false;
    }
  });

async function answers(status, body, header, why) {
  assert.equal(isGenuine(body, header), status === 200, `the SDK: ${why}`);
  assert.equal(await send(body, header), status, why);
}

const tests = {
  async 'what the SDK signs is accepted'() {
    const body = event();
    await answers(200, body, sign(body), 'the first time');
    await answers(200, body, sign(body), 'and again');
  },
  async 'with any byte changed it is refused'() {
    const body = event();
    const header = sign(body);
    for (const at of [0, 1, Math.floor(body.length / 2), body.length - 1]) {
      const changed = `${body.slice(0, at)}${body[at] === 'x' ? 'y' : 'x'}${body.slice(at + 1)}`;
      await answers(400, changed, header, `byte ${at} of the body`);
    }
    await answers(400, `${body}\n`, header, 'one byte more');
    await answers(400, body.slice(0, -1), header, 'one byte less');
    for (const at of [2, header.length - 1]) {
      const other = header[at] === '1' ? '2' : '1';
      await answers(400, body, `${header.slice(0, at)}${other}${header.slice(at + 1)}`, `character ${at} of the header`);
    }
  },
  async 'a body in all the world’s letters is signed as it is sent'() {
    const body = event({ name: 'Ünï¢ødé 漢字 🪙 \u2028 \\u00e9 é e\u0301', description: '" \\ / \b \f' });
    await answers(200, body, sign(body), 'as it is');
    await answers(400, body.normalize('NFD'), sign(body), 'with é in two parts');
    await answers(400, JSON.stringify(JSON.parse(body), null, 2), sign(body), 'the same JSON in other words');
  },
  async 'it holds for 300 seconds'() {
    for (const [age, status] of [[0, 200], [299, 200], [301, 400], [86_400, 400]]) {
      const body = event();
      await answers(status, body, sign(body, { timestamp: now() - age }), `signed ${age} s ago`);
    }
  },
  async 'while secrets change each of them fits, and one signature of several does'() {
    const body = event();
    await answers(200, body, sign(body, { secret: nextSecret }), 'the next secret');
    const [time, old] = sign(body, { secret: 'whsec_of_long_ago' }).split(',');
    const [, good] = sign(body).split(',');
    const [, next] = sign(body, { secret: nextSecret }).split(',');
    for (const both of [[old, good], [good, old], [good, next], [old, next]]) {
      await answers(200, body, [time, ...both].join(','), both.join(' and '));
    }
    await answers(400, body, [time, old].join(','), 'a secret of long ago');
    await answers(400, body, [time, old, old].join(','), 'twice');
  },
  async 'a signature of another scheme is none'() {
    const body = event();
    await answers(400, body, sign(body, { scheme: 'v0' }), 'v0');
    await answers(200, body, `${sign(body)},v0=${'0'.repeat(64)}`, 'v0 beside v1');
    for (const header of ['', 't=', 'v1=', 't=1,v1=', `t=${now()}`, 'nonsense', ',', '=']) {
      await answers(400, body, header, `the header “${header}”`);
    }
    assert.equal(await send(body), 400, 'no header');
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`signatures of Node: ${name} ... ok`);
  } catch (error) {
    failed += 1;
    console.log(`${error.stack}\nsignatures of Node: ${name} ... FAILED`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;
