// Webhooks in fair weather: who gets which, signed how, retried when, and what the API says of it.
import assert from 'node:assert/strict';
import { aPayment, aSubscriber, advance, listening, receiver, settle, sim, stripe, DAY } from './harness.mjs';

const parts = (delivery) =>
  delivery.headers['stripe-signature'].split(',').map((part) => part.split(/=(.*)/s).slice(0, 2));
const signedAt = (delivery) => Number(new Map(parts(delivery)).get('t'));
const types = (events) => events.map(({ type }) => type).sort();

export async function each_endpoint_gets_what_it_asked_for_and_the_sdk_accepts_it() {
  const some = await listening(['payment_intent.succeeded', 'charge.refunded']);
  const all = await listening(['*']);
  const none = await listening(['invoice.paid']);
  const { id } = await aPayment();
  await stripe.refunds.create({ payment_intent: id });
  await settle();
  assert.deepEqual(types(some.events()), ['charge.refunded', 'payment_intent.succeeded']);
  assert.deepEqual(none.came, []);
  const kept = await stripe.events.list({ limit: 100 });
  assert.deepEqual(
    all.events().map((event) => event.id).sort(),
    kept.data.map((event) => event.id).sort(),
    'everything that is kept was sent once',
  );
  for (const hook of [some, all, none]) await hook.close();
}

export async function a_delivery_is_what_stripe_sends() {
  const hook = await listening(['payment_intent.succeeded']);
  const payment = await aPayment({ description: 'Zoë 🦀' });
  await settle();
  assert.equal(hook.came.length, 1);
  const [delivery] = hook.came;
  assert.deepEqual([delivery.method, delivery.path], ['POST', '/hook']);
  assert.equal(delivery.headers['content-type'], 'application/json; charset=utf-8');
  assert.equal(delivery.headers['user-agent'], 'Stripe/1.0 (+https://stripe.com/docs/webhooks)');
  assert.match(delivery.headers['stripe-signature'], /^t=\d+,v1=[0-9a-f]{64}(,v0=[0-9a-f]{64})?$/);
  const [event] = hook.events();
  assert.deepEqual([event.object, event.livemode, event.data.object.id], ['event', false, payment.id]);
  assert.equal(event.api_version, hook.endpoint.api_version ?? event.api_version);
  const kept = await stripe.events.retrieve(event.id);
  assert.deepEqual(kept.data, event.data);
  await hook.close();
}

export async function a_changed_body_and_a_foreign_secret_are_refused() {
  const hook = await listening(['*']);
  await stripe.customers.create({ name: 'Ada' });
  await settle();
  const [delivery] = hook.came;
  const refused = { type: 'StripeSignatureVerificationError' };
  assert.throws(() => hook.read({ ...delivery, body: delivery.body.replace('Ada', 'Ben') }), refused);
  assert.throws(() => hook.read(delivery, 'whsec_foreign'), refused);
  await hook.close();
}

export async function pending_webhooks_fall_to_none() {
  const first = await listening(['customer.created'], { answers: [500] });
  const second = await listening(['customer.created']);
  const sent = () => stripe.events.list({ limit: 1 }).then(({ data }) => data[0]);
  await stripe.customers.create({});
  await settle();
  assert.equal((await sent()).pending_webhooks, 1, 'one of two was delivered');
  const listed = async (delivery_success) => (await stripe.events.list({ delivery_success })).data.length;
  assert.deepEqual([await listed(false), await listed(true)], [1, 0]);
  await advance(60);
  await settle();
  assert.equal((await sent()).pending_webhooks, 0);
  assert.deepEqual([await listed(false), await listed(true)], [0, 1]);
  for (const hook of [first, second]) await hook.close();
}

export async function what_is_not_answered_by_success_is_sent_again_and_signed_afresh() {
  const hook = await listening(['customer.created'], { answers: [500, 503] });
  await stripe.customers.create({});
  await settle();
  assert.equal(hook.came.length, 1);
  const passed = Date.now() + 1100; // so that a signature of now differs from the first one
  while (Date.now() < passed) await new Promise((later) => setTimeout(later, 50));
  for (const [seconds, attempts] of [[3, 1], [10, 2], [30, 2], [120, 3], [7 * DAY, 3]]) {
    await advance(seconds);
    await settle();
    assert.equal(hook.came.length, attempts, `attempts ${seconds} s later`);
  }
  assert.equal(new Set(hook.events().map(({ id }) => id)).size, 1, 'accepted by the SDK, and one event');
  const [first, , third] = hook.came.map(signedAt);
  assert.ok(third > first, `${third} after ${first}`);
  assert.ok(Math.abs(third - Date.now() / 1000) < 60, 'signatures have the time of this machine');
  const { data } = await sim('GET', '/deliveries');
  const said = data.filter(({ type }) => type === 'customer.created');
  assert.ok(said.some(({ state, status }) => state === 'delivered' && status === 200), JSON.stringify(said));
  await hook.close();
}

export async function retries_end() {
  const hook = await listening(['customer.created'], { answers: Array(50).fill(500) });
  await stripe.customers.create({});
  for (let day = 0; day < 10; day += 1) {
    for (let part = 0; part < 8; part += 1) { await settle(); await advance(DAY / 8); }
  }
  await settle();
  const attempts = hook.came.length;
  assert.ok(attempts > 2, `${attempts}`);
  await advance(10 * DAY);
  await settle();
  assert.equal(hook.came.length, attempts, 'given up');
  assert.equal((await stripe.events.list({ delivery_success: false })).data.length, 1);
  await hook.close();
}

export async function a_redirect_is_a_failure_and_not_followed() {
  const elsewhere = await receiver();
  const hook = await listening(['customer.created'], { answers: [302], headers: { location: elsewhere.url } });
  await stripe.customers.create({});
  await settle();
  assert.deepEqual([hook.came.length, elsewhere.came.length], [1, 0]);
  assert.equal((await stripe.events.list({ limit: 1 })).data[0].pending_webhooks, 1);
  await advance(60);
  await settle();
  assert.deepEqual([hook.came.length, elsewhere.came.length], [2, 0]);
  for (const opened of [hook, elsewhere]) await opened.close();
}

export async function a_rotated_secret_and_the_old_one_are_both_good_for_a_while() {
  const hook = await listening(['customer.created']);
  const { secret } = await sim('POST', `/webhook_endpoints/${hook.endpoint.id}/rotate`, { overlap: DAY });
  assert.notEqual(secret, hook.endpoint.secret);
  await stripe.customers.create({});
  await settle();
  const during = hook.came.at(-1);
  assert.equal(parts(during).filter(([scheme]) => scheme === 'v1').length, 2);
  assert.equal(hook.read(during, hook.endpoint.secret).id, hook.read(during, secret).id);
  await advance(DAY + 60);
  await stripe.customers.create({});
  await settle();
  const afterwards = hook.came.at(-1);
  assert.equal(parts(afterwards).filter(([scheme]) => scheme === 'v1').length, 1);
  hook.read(afterwards, secret);
  assert.throws(() => hook.read(afterwards, hook.endpoint.secret), { type: 'StripeSignatureVerificationError' });
  await hook.close();
}

export async function a_disabled_or_deleted_endpoint_gets_nothing() {
  const disabled = await listening(['*']);
  const deleted = await listening(['*'], { answers: [500] });
  await stripe.customers.create({});
  await settle();
  await stripe.webhookEndpoints.update(disabled.endpoint.id, { disabled: true });
  await stripe.webhookEndpoints.del(deleted.endpoint.id);
  await stripe.customers.create({});
  await advance(DAY);
  await settle();
  assert.deepEqual([disabled.came.length, deleted.came.length], [1, 1], 'nothing new, and no retry');
  for (const hook of [disabled, deleted]) await hook.close();
}

export async function events_of_before_an_endpoint_are_not_sent_to_it() {
  await stripe.customers.create({});
  const hook = await listening(['*']);
  await settle();
  assert.deepEqual(hook.came, []);
  await hook.close();
}

export async function what_time_does_is_sent_too() {
  const hook = await listening(['invoice.paid', 'customer.subscription.updated']);
  const subscription = await aSubscriber();
  await settle();
  hook.came.length = 0;
  await sim('POST', '/clock', { to: subscription.items.data[0].current_period_end + 2 * 3600 });
  await settle();
  const events = hook.events();
  assert.ok(events.some(({ type }) => type === 'customer.subscription.updated'));
  const paid = events.find(({ type }) => type === 'invoice.paid').data.object;
  assert.equal(paid.billing_reason, 'subscription_cycle');
  assert.equal(paid.parent.subscription_details.subscription, subscription.id);
  await hook.close();
}

export async function an_event_is_sent_again_to_one_or_to_all() {
  const first = await listening(['customer.created']);
  const second = await listening(['customer.created']);
  await stripe.customers.create({});
  await settle();
  const [{ id }] = (await stripe.events.list({ limit: 1 })).data;
  await sim('POST', `/events/${id}/resend`, { endpoint: first.endpoint.id });
  await settle();
  assert.deepEqual([first.came.length, second.came.length], [2, 1]);
  await sim('POST', `/events/${id}/resend`, {});
  await settle();
  assert.deepEqual([first.came.length, second.came.length], [3, 2]);
  assert.deepEqual(new Set([...first.events(), ...second.events()].map((event) => event.id)), new Set([id]));
  for (const hook of [first, second]) await hook.close();
}
