// What the Node tests stand on: Stripe's SDK pointed at the simulator, the simulator's own controls, and a
// receiver of webhooks.
import { createRequire } from 'node:module';
import http from 'node:http';

// `import` doesn't look where NODE_PATH points.
const required = createRequire(import.meta.url)('stripe');
export const Stripe = required.Stripe ?? required.default ?? required;

const [judge, simulator] = process.argv.slice(2, 4).map((address) => address.replace(/\/$/, ''));

export const HOUR = 3600;
export const DAY = 86400;

export function client(key = 'sk_test_node') {
  const { hostname, port } = new URL(judge);
  return new Stripe(key, { host: hostname, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
}
export const stripe = client();

/** A call of /_sim: JSON in, JSON out. */
export async function sim(method, path, body) {
  const answer = await fetch(`${simulator}/_sim${path}`, {
    method,
    body: body && JSON.stringify(body),
    headers: body && { 'content-type': 'application/json' },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`/_sim${path}: ${answer.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
}

/** Forgets everything and stops the clock, so that only `advance` moves time. */
export async function startOver() {
  await sim('POST', '/reset', { seed: 7 });
  await sim('POST', '/clock', { frozen: true });
}

export const advance = (seconds) => sim('POST', '/clock', { advance: seconds });

/** Until no delivery is due or on its way. */
export async function settle() {
  const { settled } = await sim('POST', '/settle', { timeout_ms: 10_000 });
  if (!settled) throw new Error('deliveries did not settle');
}

export const card = (number = '4242424242424242') => ({
  type: 'card',
  card: { number, exp_month: 12, exp_year: 2060, cvc: '123' },
});

export const aPayment = (more = {}) =>
  stripe.paymentIntents.create({
    amount: 1000, currency: 'usd', payment_method_types: ['card'], payment_method: 'pm_card_visa', confirm: true,
    ...more,
  });

export const aPrice = (more = {}) =>
  stripe.prices.create({ currency: 'usd', unit_amount: 1500, product_data: { name: 'Tokens' }, ...more });

export async function aSubscriber() {
  const customer = await stripe.customers.create({
    payment_method: 'pm_card_visa', invoice_settings: { default_payment_method: 'pm_card_visa' },
  });
  const price = await aPrice({ recurring: { interval: 'month' } });
  return stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
}

/** A server that keeps what it is sent, and answers as `answers` says: the status of each, then 200. */
export async function receiver(answers = [], headers = {}) {
  const came = [];
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    came.push({
      method: request.method, path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString('utf8'),
    });
    response.writeHead(answers.shift() ?? 200, headers).end();
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    came,
    url: `http://127.0.0.1:${server.address().port}/hook`,
    close: () => new Promise((closed) => { server.close(closed); server.closeAllConnections(); }),
  };
}

/** A receiver with an endpoint of its own; what came is read by Stripe's SDK. */
export async function listening(enabled_events, { answers, headers } = {}) {
  const hook = await receiver(answers, headers);
  const endpoint = await stripe.webhookEndpoints.create({ url: hook.url, enabled_events });
  const read = (delivery, secret = endpoint.secret) =>
    stripe.webhooks.constructEvent(delivery.body, delivery.headers['stripe-signature'], secret);
  return { ...hook, endpoint, read, events: () => hook.came.map((delivery) => read(delivery)) };
}
