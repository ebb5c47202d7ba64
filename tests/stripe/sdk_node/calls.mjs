// The calls that a Node program makes most.
import assert from 'node:assert/strict';
import { aPayment, aPrice, aSubscriber, advance, card, client, sim, stripe, DAY, HOUR } from './harness.mjs';

const rejects = (promise, type, members) =>
  assert.rejects(promise, (error) => {
    assert.equal(error.type, type, error.message);
    for (const [member, expected] of Object.entries(members)) assert.equal(error[member], expected, error.message);
    return true;
  });

export async function customers_are_made_read_changed_listed_and_deleted() {
  const made = await stripe.customers.create({ email: 'ada@example.com', metadata: { a: '1', b: '2' } });
  assert.match(made.id, /^cus_/);
  assert.match(made.lastResponse.requestId, /^req_/);
  const changed = await stripe.customers.update(made.id, { name: 'Ada', metadata: { a: '' } });
  assert.deepEqual(changed.metadata, { b: '2' });
  assert.equal((await stripe.customers.retrieve(made.id)).name, 'Ada');
  assert.deepEqual((await stripe.customers.list()).data.map(({ id }) => id), [made.id]);
  assert.equal((await stripe.customers.del(made.id)).deleted, true);
}

export async function every_page_is_visited() {
  const ids = [];
  for (let n = 0; n < 23; n += 1) ids.unshift((await stripe.customers.create({ name: `number ${n}` })).id);
  const all = await stripe.customers.list({ limit: 10 }).autoPagingToArray({ limit: 100 });
  assert.deepEqual(all.map(({ id }) => id), ids);
  const back = [];
  for await (const { id } of stripe.customers.list({ limit: 10, ending_before: ids[22] })) back.push(id);
  assert.deepEqual(back, ids.slice(0, 22).reverse());
}

export async function errors_have_their_classes() {
  await rejects(stripe.customers.retrieve('cus_nope'), 'StripeInvalidRequestError', {
    statusCode: 404, code: 'resource_missing', param: 'id',
  });
  await rejects(stripe.customers.create({ bogus: 1 }), 'StripeInvalidRequestError', {
    statusCode: 400, code: 'parameter_unknown', param: 'bogus',
  });
  await rejects(stripe.customers.list({ limit: 101 }), 'StripeInvalidRequestError', {
    statusCode: 400, param: 'limit',
  });
  await rejects(client('sk_live_nope').customers.list(), 'StripeAuthenticationError', { statusCode: 401 });
  await rejects(aPayment({ payment_method: 'pm_card_chargeDeclined' }), 'StripeCardError', {
    statusCode: 402, code: 'card_declined', decline_code: 'generic_decline',
  });
  await sim('POST', '/faults', { method: 'GET', path: '/v1/customers', count: 1, answer: 500 });
  await rejects(stripe.customers.list(), 'StripeAPIError', { statusCode: 500 });
  await sim('POST', '/faults', { method: 'GET', path: '/v1/customers', count: 1, answer: 429 });
  await rejects(stripe.customers.list(), 'StripeRateLimitError', { statusCode: 429 });
}

export async function a_decline_tells_of_its_payment() {
  const error = await aPayment({ payment_method: 'pm_card_chargeDeclined' }).catch((declined) => declined);
  assert.equal(error.payment_intent.status, 'requires_payment_method');
  assert.equal(error.payment_intent.last_payment_error.decline_code, 'generic_decline');
}

export async function a_key_makes_a_payment_once() {
  const pay = (amount) =>
    stripe.paymentIntents.create(
      { amount, currency: 'usd', payment_method_types: ['card'], payment_method: 'pm_card_visa', confirm: true },
      { idempotencyKey: 'k1' },
    );
  const [first, second] = [await pay(1000), await pay(1000)];
  assert.equal(second.id, first.id);
  assert.equal(second.lastResponse.headers['idempotent-replayed'], 'true');
  await rejects(pay(1001), 'StripeIdempotencyError', { statusCode: 400 });
  assert.equal((await stripe.paymentIntents.list()).data.length, 1);
}

export async function the_sdk_s_own_retries_do_not_pay_twice() {
  const retrying = client();
  await sim('POST', '/faults', {
    method: 'POST', path: '/v1/payment_intents', count: 1, when: 'after', answer: 503, stored: false,
  });
  const paid = await retrying.paymentIntents.create(
    { amount: 1000, currency: 'usd', payment_method_types: ['card'], payment_method: 'pm_card_visa', confirm: true },
    { maxNetworkRetries: 2 },
  );
  assert.deepEqual((await stripe.paymentIntents.list()).data.map(({ id }) => id), [paid.id]);
}

export async function what_is_named_is_expanded() {
  const { id } = await aPayment();
  const payment = await stripe.paymentIntents.retrieve(id, { expand: ['latest_charge.balance_transaction'] });
  assert.equal(payment.latest_charge.balance_transaction.amount, 1000);
}

export async function a_checkout_is_paid() {
  const price = await aPrice();
  const session = await stripe.checkout.sessions.create({
    mode: 'payment', success_url: 'https://example.com/done', line_items: [{ price: price.id, quantity: 2 }],
  });
  assert.deepEqual([session.status, session.payment_status, session.amount_total], ['open', 'unpaid', 3000]);
  const method = await stripe.paymentMethods.create(card());
  await stripe.rawRequest('POST', `/v1/payment_pages/${session.id}/confirm`, {
    payment_method: method.id, expected_amount: 3000,
  });
  const paid = await stripe.checkout.sessions.retrieve(session.id, { expand: ['line_items', 'payment_intent'] });
  assert.deepEqual([paid.status, paid.payment_status, paid.payment_intent.status], ['complete', 'paid', 'succeeded']);
  assert.deepEqual(paid.line_items.data.map((item) => [item.price.id, item.quantity]), [[price.id, 2]]);
}

export async function a_payment_is_refunded_in_parts() {
  const { id, latest_charge } = await aPayment();
  await stripe.refunds.create({ payment_intent: id, amount: 400 });
  await stripe.refunds.create({ payment_intent: id });
  const charge = await stripe.charges.retrieve(latest_charge);
  assert.deepEqual([charge.amount_refunded, charge.refunded], [1000, true]);
  await rejects(stripe.refunds.create({ payment_intent: id }), 'StripeInvalidRequestError', {
    code: 'charge_already_refunded',
  });
}

export async function a_subscription_renews_and_ends() {
  const subscription = await aSubscriber();
  assert.equal(subscription.status, 'active');
  await sim('POST', '/clock', { to: subscription.items.data[0].current_period_end + 2 * HOUR });
  const invoices = await stripe.invoices.list({ subscription: subscription.id });
  assert.deepEqual(
    invoices.data.map(({ status, billing_reason, total }) => [status, billing_reason, total]),
    [['paid', 'subscription_cycle', 1500], ['paid', 'subscription_create', 1500]],
  );
  assert.equal((await stripe.subscriptions.cancel(subscription.id)).status, 'canceled');
  await advance(40 * DAY);
  assert.equal((await stripe.invoices.list({ subscription: subscription.id })).data.length, 2);
}

export async function what_happened_is_listed_by_type() {
  const payment = await aPayment();
  const { data } = await stripe.events.list({ types: ['payment_intent.succeeded'] });
  assert.deepEqual(data.map((event) => event.data.object.id), [payment.id]);
}
