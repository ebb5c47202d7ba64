// Webhooks in foul weather: twice, out of order, late, never, badly signed.
import assert from 'node:assert/strict';
import { aPayment, advance, listening, settle, sim, stripe } from './harness.mjs';

const weather = (conditions) => sim('POST', '/weather', conditions);
const refused = { type: 'StripeSignatureVerificationError' };

export async function deliveries_are_duplicated() {
  const hook = await listening(['customer.created']);
  await weather({ duplicate: 1, copies: 3 });
  await stripe.customers.create({});
  await settle();
  assert.ok(hook.came.length >= 2, `${hook.came.length}`);
  assert.equal(new Set(hook.events().map(({ id }) => id)).size, 1);
  assert.equal(new Set(hook.came.map(({ body }) => JSON.stringify(JSON.parse(body).data))).size, 1);
  await sim('DELETE', '/weather');
  await stripe.customers.create({});
  const before = hook.came.length;
  await settle();
  assert.ok(hook.came.length <= before + 1, 'fair again');
  await hook.close();
}

export async function deliveries_are_shuffled() {
  const hook = await listening(['customer.created']);
  await weather({ shuffle: true });
  const names = [];
  for (let n = 0; n < 40; n += 1) {
    names.push(`number ${n}`);
    await stripe.customers.create({ name: `number ${n}` });
  }
  await advance(60);
  await settle();
  const came = hook.events().map((event) => event.data.object.name);
  assert.deepEqual([...came].sort(), [...names].sort(), 'each came once');
  assert.notDeepEqual(came, names, 'but in another order');
  await hook.close();
}

export async function deliveries_are_dropped_and_can_be_had_again() {
  const hook = await listening(['customer.created']);
  await weather({ drop: 1 });
  await stripe.customers.create({});
  await settle();
  assert.deepEqual(hook.came, []);
  assert.deepEqual((await sim('GET', '/deliveries')).data.map(({ state }) => state), ['dropped']);
  await sim('DELETE', '/weather');
  const [{ id }] = (await stripe.events.list({ limit: 1 })).data;
  await sim('POST', `/events/${id}/resend`, {});
  await settle();
  assert.deepEqual(hook.events().map((event) => event.id), [id]);
  await hook.close();
}

export async function deliveries_are_late() {
  const hook = await listening(['customer.created']);
  await weather({ delay: 1, delay_seconds: [600, 900] });
  await stripe.customers.create({});
  await settle();
  await advance(500);
  await settle();
  assert.deepEqual(hook.came, []);
  await advance(500);
  await settle();
  assert.equal(hook.events().length, 1, 'late, but signed afresh');
  await hook.close();
}

export async function a_bad_signature_is_refused() {
  const hook = await listening(['customer.created']);
  await weather({ signature: 'bad' });
  await stripe.customers.create({});
  await settle();
  assert.match(hook.came[0].headers['stripe-signature'], /^t=\d+,v1=[0-9a-f]{64}/);
  assert.throws(() => hook.read(hook.came[0]), refused);
  await hook.close();
}

export async function a_stale_signature_is_refused_for_its_age_only() {
  const hook = await listening(['customer.created']);
  await weather({ signature: 'stale' });
  await stripe.customers.create({});
  await settle();
  const [{ body, headers }] = hook.came;
  assert.throws(() => hook.read(hook.came[0]), { ...refused, message: /timestamp/i });
  const aged = stripe.webhooks.constructEvent(body, headers['stripe-signature'], hook.endpoint.secret, 3600);
  assert.equal(aged.type, 'customer.created');
  await hook.close();
}

export async function a_signature_may_be_missing() {
  const hook = await listening(['customer.created']);
  await weather({ signature: 'none' });
  await stripe.customers.create({});
  await settle();
  assert.equal(hook.came[0].headers['stripe-signature'], undefined);
  assert.throws(() => hook.read(hook.came[0]), refused);
  await hook.close();
}

export async function weather_may_be_only_over_some_types() {
  const hook = await listening(['*']);
  await weather({ drop: 1, types: ['charge.*'] });
  await aPayment();
  await settle();
  const types = new Set(hook.events().map(({ type }) => type));
  assert.ok(types.has('payment_intent.succeeded'), [...types].join());
  assert.ok(!types.has('charge.succeeded'), [...types].join());
  await hook.close();
}

export async function an_event_may_claim_to_be_live() {
  const hook = await listening(['customer.created']);
  await weather({ livemode: true });
  await stripe.customers.create({});
  await settle();
  assert.equal(hook.events()[0].livemode, true);
  assert.equal((await stripe.events.list({ limit: 1 })).data[0].livemode, false);
  await hook.close();
}
