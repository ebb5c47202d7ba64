// Buying tokens as people do it: a real browser, from the link that signs in to the receipt, with everything
// behind it running. What should have happened is asked of the API. Scripts are on unless a test says otherwise.
//
// usage: node browser.mjs SCREENSHOT_DIR PHOENIX VANTAGE
//
// PHOENIX and VANTAGE are files: what `local` said when it started with that catalog. Needs playwright-core and
// axe-core (by NODE_PATH) and a Chromium (CHROMIUM, else /usr/bin/chromium). Says `NAME ... ok` or
// `NAME ... FAILED` of each test; ONLY picks tests by a part of their name.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(import.meta.url);
const { chromium } = require('playwright-core');
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const PATIENCE_MS = 10_000;
/** Who has paid sees the tokens within this time of the click. */
const CREDITED_WITHIN_MS = 2_000;
const GOOD = '4242 4242 4242 4242';
const DECLINED = '4000 0000 0000 0002';

// --- What runs, and its API

function running(file) {
  const said = readFileSync(file, 'utf8');
  const find = (pattern) => said.match(pattern)?.[1] ?? assert.fail(`${file} doesn't say ${pattern}`);
  return {
    link: find(/(http:\S+\/session\/\S+)/),
    pages: find(/pages and API\s+(http:\/\/[^/]+)/),
    stripe: find(/Stripe\s+(http:\S+)/),
    serviceKey: find(/Bearer (\w+)/),
  };
}

const [screenshots, ...files] = process.argv.slice(2);
const [phoenix, vantage] = files.map(running);

async function ask(method, url, bearer, body) {
  const isForm = body instanceof URLSearchParams;
  const answer = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${bearer}`, ...(body && !isForm && { 'content-type': 'application/json' }) },
    body: isForm ? body : body && JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${url}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

/** Calls Stripe's API, or moves the simulator: its clock, its faults. */
const stripe = (at, path, params) =>
  ask(params ? 'POST' : 'GET', `${at.stripe}/v1/${path}`, 'sk_test_local', params && new URLSearchParams(params));
const move = (at, path, body) => ask('POST', `${at.stripe}/_sim/${path}`, '', body);

/** A user of whom nobody has heard before. */
class User {
  static #count = 0;

  constructor(at, known) {
    User.#count += 1;
    this.at = at;
    this.account = `browser-${process.pid}-${User.#count}`;
    this.known = known;
  }

  #open(use, more) {
    const body = { account_id: this.account, use, ...this.known, ...more };
    return ask('POST', `${this.at.pages}/v1/sessions`, this.at.serviceKey, body);
  }

  async link(more) {
    return (await this.#open('link', more)).url;
  }

  async api(method, path, body) {
    this.bearer ??= (await this.#open('bearer')).token;
    return ask(method, `${this.at.pages}/v1/${path}`, this.bearer, body);
  }

  /** What the API says of this user: the balance, and the states of all purchases, newest first. */
  async has() {
    const [balance, purchases] = [await this.api('GET', 'balance'), await this.api('GET', 'purchases')];
    return [balance.available, ...purchases.data.map((purchase) => purchase.state)];
  }

  async begins(order = { package: 'starter' }) {
    const { purchase, url } = await this.api('POST', 'checkout/sessions', order);
    return { ...purchase, url, session: sessionIn(url) };
  }

  /** Pays as Stripe's page does, without the page. */
  async pays({ session }) {
    const card = { type: 'card', 'card[number]': '4242424242424242', 'card[exp_month]': 12, 'card[exp_year]': 2060 };
    const method = await stripe(this.at, 'payment_methods', card);
    return stripe(this.at, `payment_pages/${session}/confirm`, { payment_method: method.id });
  }

  async until(id, state) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      const purchase = await this.api('GET', `purchases/${id}`);
      if (purchase.state === state) return purchase;
      assert.ok(Date.now() < end, `the purchase stays ${purchase.state}, and doesn't become ${state}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const sessionIn = (url) => url.match(/cs_test_\w+/)[0];

// --- What people do

async function comesIn(page, user) {
  await page.goto(await user.link());
  await page.waitForURL(`${user.at.pages}/tokens/buy`);
  return user;
}
const comesInAtPhoenix = (page) => comesIn(page, new User(phoenix, { name: 'Ada Lovelace', email: 'ada@example.com' }));

async function choosesToBuy(page, tokens) {
  await page.getByRole('button', { name: `Buy ${tokens} tokens` }).click();
  await page.waitForURL('**/c/pay/**');
}

async function fillsIn(page, number) {
  const email = page.getByLabel('Email');
  if ((await email.count()) && (await email.isEditable())) await email.fill('ada@example.com');
  await page.getByLabel('Card number').fill(number);
  await page.getByLabel('Expiry date').fill('12 / 34');
  await page.getByLabel('Security code').fill('123');
}

const payButton = (page) => page.getByRole('button', { name: /^Pay / });
const heading = (page, name) => page.getByRole('heading', { name, level: 1 });

async function pays(page, number = GOOD) {
  await fillsIn(page, number);
  await payButton(page).click();
}

/** Pays, and measures until the receipt of a credited purchase can be read: milliseconds. */
async function paysInTime(page, tokens) {
  await fillsIn(page, GOOD);
  const button = payButton(page);
  await button.hover();
  const clicked = performance.now();
  await button.click({ noWaitAfter: true });
  await heading(page, `${tokens} tokens, all yours`).waitFor();
  const waited = performance.now() - clicked;
  assert.ok(waited < CREDITED_WITHIN_MS, `credited ${Math.round(waited)} ms after the click`);
  return Math.round(waited);
}

/** A term and what stands beside it. */
const told = async (page, term) => {
  const pairs = page.locator('dl.pairs > div').filter({ has: page.getByText(term, { exact: true }) });
  return (await pairs.locator('dd').innerText()).trim();
};
const balanceShown = async (page) => (await page.locator('#balance .big').innerText()).replace(/\s+/g, ' ').trim();

// --- What a page has to be

const shoot = (page, name) => page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });

/** A page is shot as it is wide and light, dark, and on a phone; axe finds nothing wrong with it, nor can it be
    moved sideways. */
async function judge(page, name) {
  const size = page.viewportSize();
  for (const [look, scheme, viewport] of [
    ['', 'light', size],
    ['-dark', 'dark', size],
    ['-phone', 'light', { width: 360, height: 740 }],
  ]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await page.setViewportSize(viewport);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `${name}${look}: ${beyond} pixels beyond the edge`);
    await shoot(page, `${name}${look}`);
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
    const words = ({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} at ${target}: ${failureSummary}`);
    assert.deepEqual(violations.flatMap(words), [], `${name}${look}`);
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
  await page.setViewportSize(size);
}

// --- The tests

const tests = [];
const test = (name, body, options = {}) => tests.push({ name, body, options });
const WITHOUT_SCRIPTS = { javaScriptEnabled: false };
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

test('the link that is printed leads to tokens', async (page) => {
  await page.goto(phoenix.link);
  await page.waitForURL(`${phoenix.pages}/tokens/buy`);
  assert.equal(await balanceShown(page), '0 tokens');
  await choosesToBuy(page, 110);
  await pays(page);
  await heading(page, '110 tokens, all yours').waitFor();
  assert.deepEqual([await told(page, 'Paid'), await told(page, 'New balance')], ['$9.99', '110 tokens']);
  await page.getByRole('link', { name: 'See your account' }).click();
  assert.equal(await balanceShown(page), '110 tokens');
});

for (const [how, options] of [
  ['', {}], [', on a phone', PHONE], [', in the dark', { colorScheme: 'dark' }], [', without scripts', WITHOUT_SCRIPTS],
]) {
  test(`who pays sees the tokens within ${CREDITED_WITHIN_MS / 1_000} s${how}`, async (page) => {
    const user = await comesInAtPhoenix(page);
    const waited = [];
    for (const [tokens, after] of [[50, 50], [110, 160], [700, 860]]) {
      await page.goto(`${phoenix.pages}/tokens/buy`);
      await choosesToBuy(page, tokens);
      waited.push(await paysInTime(page, tokens));
      assert.equal(await told(page, 'New balance'), `${after} tokens`);
      assert.deepEqual((await user.has())[0], after);
    }
    console.log(`credited ${waited.join(', ')} ms after the click on “Pay”${how}`);
    await page.goto(`${phoenix.pages}/tokens/buy`);
    assert.equal(await balanceShown(page), '860 tokens');
  }, options);
}

test('every page of a purchase is fit to be seen', async (page) => {
  await page.goto(`${phoenix.pages}/tokens/buy`);
  await judge(page, 'buy-signed-out');
  const user = await comesInAtPhoenix(page);
  await judge(page, 'buy');
  await page.goto(`${phoenix.pages}/account`);
  await judge(page, 'account-empty');
  await page.getByRole('link', { name: 'Buy tokens' }).click();
  await choosesToBuy(page, 700);
  await pays(page);
  await heading(page, '700 tokens, all yours').waitFor();
  await page.locator('.confetti').waitFor();
  await shoot(page, 'success-confetti');
  await page.locator('.confetti').waitFor({ state: 'detached' });
  await judge(page, 'success');
  const bought = page.url();
  await page.getByRole('link', { name: 'Buy more' }).click();
  await judge(page, 'buy-again');

  const { charge } = await stripe(phoenix, `checkout/sessions/${sessionIn(bought)}?expand[]=payment_intent`)
    .then(({ payment_intent: intent }) => ({ charge: intent.latest_charge }));
  const [{ id }] = (await user.api('GET', 'purchases')).data;
  await stripe(phoenix, 'refunds', { charge, amount: 1000 });
  await user.until(id, 'partly_reversed');
  await page.goto(bought);
  await heading(page, 'A part of this purchase was taken back').waitFor();
  await judge(page, 'success-partly-reversed');
  await stripe(phoenix, 'refunds', { charge });
  await user.until(id, 'reversed');
  await page.reload();
  await heading(page, 'This purchase was taken back').waitFor();
  await judge(page, 'success-reversed');

  const given = await user.begins();
  await user.api('POST', `checkout/sessions/${given.id}/cancel`);
  await page.goto(`${phoenix.pages}/tokens/success?session_id=${given.session}`);
  await heading(page, 'This purchase is closed').waitFor();
  await judge(page, 'success-given-up');
  await page.goto(`${phoenix.pages}/tokens/cancel`);
  await judge(page, 'cancel-of-nothing');
  await page.goto(`${phoenix.pages}/account`);
  await judge(page, 'account');
});

test('a declined card changes nothing, and another one pays the same purchase', async (page) => {
  const user = await comesInAtPhoenix(page);
  await choosesToBuy(page, 50);
  const session = sessionIn(page.url());
  await pays(page, DECLINED);
  await page.getByRole('alert').filter({ hasText: 'declined' }).waitFor();
  assert.deepEqual(await user.has(), [0, 'open']);
  await paysInTime(page, 50);
  assert.equal(new URL(page.url()).searchParams.get('session_id'), session);
  assert.equal(await told(page, 'New balance'), '50 tokens');
  assert.deepEqual(await user.has(), [50, 'credited']);
});

for (const [how, options] of [['', {}], [', without scripts', WITHOUT_SCRIPTS]]) {
  test(`who turns back can go on, or give it up${how}`, async (page) => {
    const user = await comesInAtPhoenix(page);
    await choosesToBuy(page, 50);
    const checkout = page.url();
    await page.getByRole('link', { name: /^Back to/ }).click();
    await heading(page, 'You haven’t paid anything').waitFor();
    if (!how) await judge(page, 'cancel');
    const turnedBack = page.url();
    await page.getByRole('link', { name: 'Try again' }).click();
    assert.equal(page.url(), checkout);

    await page.goto(turnedBack);
    await page.getByRole('button', { name: 'Give this purchase up' }).click();
    await heading(page, 'This purchase is closed').waitFor();
    if (!how) await judge(page, 'cancel-given-up');
    assert.deepEqual(await user.has(), [0, 'expired']);
    assert.equal((await stripe(phoenix, `checkout/sessions/${sessionIn(checkout)}`)).status, 'expired');

    await page.getByRole('link', { name: 'Choose again' }).click();
    await choosesToBuy(page, 50);
    assert.notEqual(page.url(), checkout, 'what was given up is not begun again');
    await paysInTime(page, 50);
    assert.deepEqual(await user.has(), [50, 'credited', 'expired']);
    await page.goto(turnedBack);
    await heading(page, 'This purchase is closed').waitFor();
  }, options);
}

test('two tabs that buy at the same time share a purchase, which is paid once', async (page) => {
  const user = await comesInAtPhoenix(page);
  const other = await page.context().newPage();
  await other.goto(`${phoenix.pages}/tokens/buy`);
  await Promise.all([page, other].map((tab) => choosesToBuy(tab, 50)));
  assert.equal(page.url(), other.url());
  await Promise.all([page, other].map((tab) => fillsIn(tab, GOOD)));
  await payButton(page).click();
  await heading(page, '50 tokens, all yours').waitFor();
  await payButton(other).click();
  await other.getByText(/already paid/).first().waitFor();
  await shoot(other, 'second-tab');
  await other.getByRole('link', { name: /^Return to/ }).click();
  await heading(other, '50 tokens, all yours').waitFor();
  assert.equal(await told(other, 'New balance'), '50 tokens');
  assert.deepEqual(await user.has(), [50, 'credited']);
});

test('two tabs that pay at the same time pay once', async (page) => {
  const user = await comesInAtPhoenix(page);
  await choosesToBuy(page, 50);
  const other = await page.context().newPage();
  await other.goto(page.url());
  await Promise.all([page, other].map((tab) => fillsIn(tab, GOOD)));
  await Promise.all([page, other].map((tab) => payButton(tab).click()));
  await Promise.any([page, other].map((tab) => heading(tab, '50 tokens, all yours').waitFor()));
  assert.deepEqual(await user.has(), [50, 'credited']);
  const { data } = await stripe(phoenix, 'charges?limit=100');
  const [{ id }] = (await user.api('GET', 'purchases')).data;
  assert.equal(data.filter((charge) => JSON.stringify(charge).includes(id)).length, 1, 'one charge');
});

test('a purchase with nothing but the keyboard', async (page) => {
  const user = await comesInAtPhoenix(page);
  const tabTo = async (wanted) => {
    for (let presses = 0; presses < 40; presses += 1) {
      await page.keyboard.press('Tab');
      const { words, ring } = await page.evaluate(() => {
        const { activeElement: it } = document;
        return { words: it.id || it.textContent.trim(), ring: parseFloat(getComputedStyle(it).outlineWidth) };
      });
      assert.ok(ring >= 2, `the focus on ${words} can't be seen`);
      if (words === wanted) return;
    }
    assert.fail(`Tab never reached ${wanted}`);
  };
  await tabTo('Skip to the content');
  await shoot(page, 'keyboard-skip');
  await page.keyboard.press('Enter');
  await tabTo('Buy 250 tokens');
  await shoot(page, 'keyboard-buy');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/c/pay/**');
  for (const [id, typed] of [['number', '4242424242424242'], ['expiry', '1234'], ['cvc', '123']]) {
    await tabTo(id);
    await page.keyboard.type(typed);
  }
  await page.keyboard.press('Enter');
  await heading(page, '250 tokens, all yours').waitFor();
  await tabTo('See your account');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/account');
  assert.equal(await balanceShown(page), '250 tokens');
  assert.deepEqual(await user.has(), [250, 'credited']);
});

for (const [how, options] of [['', {}], [', without scripts', WITHOUT_SCRIPTS]]) {
  test(`the page after paying looks again by itself${how}`, async (page) => {
    const user = await comesInAtPhoenix(page);
    const purchase = await user.begins();
    await page.goto(`${phoenix.pages}/tokens/success?session_id=${purchase.session}`);
    await heading(page, 'Not paid yet').waitFor();
    if (!how) await judge(page, 'success-open');
    await user.pays(purchase);
    await heading(page, '50 tokens, all yours').waitFor();
    assert.equal(await told(page, 'New balance'), '50 tokens');
  }, options);
}

test('an open page shows a new balance by itself', async (page) => {
  const user = await comesInAtPhoenix(page);
  const purchase = await user.begins();
  await user.pays(purchase);
  await user.until(purchase.id, 'credited');
  await page.locator('#balance .big').filter({ hasText: '50' }).waitFor();
  await page.locator('#transactions').filter({ hasText: '+50' }).waitFor();
});

test('a link opened twice is refused, and says so', async (page, browser) => {
  const user = new User(phoenix);
  const link = await user.link();
  await page.goto(link);
  await page.waitForURL(`${phoenix.pages}/tokens/buy`);
  const stranger = await visitor(browser);
  const answer = await stranger.goto(link);
  assert.ok(answer.status() >= 400, `${answer.status()}`);
  assert.match(answer.headers()['content-type'], /^text\/html/, 'a person gets a page');
  assert.deepEqual(await stranger.context().cookies(), [], 'and no session');
  await stranger.getByText(/opened before/).waitFor();
  await judge(stranger, 'link-used');
  await page.reload();
  assert.equal(await balanceShown(page), '0 tokens', 'who opened it first stays in');
  await page.goto((await user.link({ return_url: '/account' })));
  await page.waitForURL(`${phoenix.pages}/account`);
});

test('who signs out is out, and so is whoever kept the cookie', async (page) => {
  await comesInAtPhoenix(page);
  const kept = await page.context().cookies();
  assert.ok(kept.every(({ httpOnly, sameSite }) => httpOnly && sameSite === 'Lax'), JSON.stringify(kept));
  await page.getByRole('link', { name: 'Account' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('Sign in to buy').waitFor();
  assert.deepEqual(await page.context().cookies(), []);
  assert.equal(await page.getByRole('button', { name: /^Buy/ }).count(), 0);
  await page.context().addCookies(kept);
  const answer = await page.goto(`${phoenix.pages}/account`);
  assert.equal(answer.status(), 401);
  await heading(page, 'Sign in').waitFor();
  await judge(page, 'signed-out');
});

test('a form of a page from before the sign-out does nothing', async (page) => {
  const user = await comesInAtPhoenix(page);
  const other = await page.context().newPage();
  await other.goto(`${phoenix.pages}/account`);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await other.getByText('Sign in to buy').waitFor();
  await page.getByRole('button', { name: 'Buy 50 tokens' }).click();
  await heading(page, 'Sign in').waitFor();
  assert.deepEqual(await user.has(), [0]);
});

test('nothing of somebody else’s purchase is shown', async (page, browser) => {
  const user = await comesInAtPhoenix(page);
  const open = await user.begins({ package: 'pro' });
  const paid = await user.begins();
  await user.pays(paid);
  await user.until(paid.id, 'credited');
  const stranger = await visitor(browser);
  for (const isSignedIn of [false, true]) {
    if (isSignedIn) await comesIn(stranger, new User(phoenix));
    for (const path of [
      `success?session_id=${paid.session}`, `success?session_id=${open.session}`,
      `cancel?purchase=${paid.id}`, `cancel?purchase=${open.id}`,
    ]) {
      const answer = await stranger.goto(`${phoenix.pages}/tokens/${path}`);
      assert.equal(answer.status(), isSignedIn ? 404 : 401, path);
      const shown = await stranger.content();
      for (const secret of [paid.id, paid.session, open.id, open.session, 'Ada', 'ada@', '$4.99', '$19.99', user.account]) {
        assert.ok(!shown.includes(secret), `${path} shows ${secret}`);
      }
    }
  }
  await judge(stranger, 'somebody-elses');
  await stranger.goto(`${phoenix.pages}/account`);
  const refused = await stranger.evaluate(async (purchase) => {
    const csrf = document.querySelector('[name=csrf]').value;
    return (await fetch('/tokens/cancel', { method: 'POST', body: new URLSearchParams({ csrf, purchase }) })).status;
  }, open.id);
  assert.equal(refused, 404);
  assert.deepEqual(await user.has(), [50, 'credited', 'open']);
});

test('what doesn’t exist is told calmly', async (page) => {
  await comesInAtPhoenix(page);
  const answer = await page.goto(`${phoenix.pages}/tokens/success?session_id=cs_test_nobody`);
  assert.equal(answer.status(), 404);
  await judge(page, 'missing');
  assert.equal((await page.goto(`${phoenix.pages}/tokens/success`)).status(), 400);
  await judge(page, 'no-session-named');
});

test('too many purchases in an hour are refused in words', async (page) => {
  const user = await comesInAtPhoenix(page);
  for (let count = 0; count < 5; count += 1) {
    const purchase = await user.begins();
    await user.api('POST', `checkout/sessions/${purchase.id}/cancel`);
  }
  await page.getByRole('button', { name: 'Buy 50 tokens' }).click();
  await page.getByRole('alert').filter({ hasText: 'Come back in a while' }).waitFor();
  await judge(page, 'buy-refused');
});

test('any number of tokens is bought where it is for sale', async (page) => {
  const user = await comesIn(page, new User(vantage, { name: 'Ada Lovelace', email: 'ada@example.com' }));
  await page.getByLabel('Tokens').fill('37');
  await page.locator('output').filter({ hasText: '$37.00' }).waitFor();
  await judge(page, 'vantage-buy');
  await page.getByRole('button', { name: 'Buy', exact: true }).click();
  await page.waitForURL('**/c/pay/**');
  await paysInTime(page, 37);
  await judge(page, 'vantage-success');
  assert.deepEqual([await told(page, 'Paid'), await told(page, 'New balance')], ['$37.00', '37 tokens']);
  assert.deepEqual(await user.has(), [37, 'credited']);
});

test('a number of tokens that isn’t sold is refused in words, and kept', async (page) => {
  const user = await comesIn(page, new User(vantage));
  const number = page.getByLabel('Tokens');
  await number.evaluate((input) => input.removeAttribute('max'));
  await number.fill('10001');
  await page.getByRole('button', { name: 'Buy', exact: true }).click();
  await page.getByRole('alert').filter({ hasText: /1 to 10,?000/ }).waitFor();
  assert.equal(await number.inputValue(), '10001');
  await judge(page, 'vantage-refused');
  assert.deepEqual(await user.has(), [0]);
});

test('what somebody is called stays text', async (page) => {
  const nasty = '<img src=x onerror=alert(1)>"&\'{{7*7}}';
  await comesIn(page, new User(phoenix, { name: nasty, email: 'ada@example.com' }));
  for (const path of ['/tokens/buy', '/account']) {
    const answer = await page.goto(`${phoenix.pages}${path}`);
    assert.ok(await page.getByText(nasty).count());
    assert.equal(await page.locator('img').count(), 0);
    const headers = answer.headers();
    assert.match(headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/);
    assert.equal(headers['referrer-policy'], 'same-origin');
    assert.equal(headers['cache-control'], 'no-store');
  }
});

// --- All of them, in one browser, each in a profile of its own

/** What the browser complains of. */
const complaints = [];

/** Somebody else, in a profile of their own: a page. */
async function visitor(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  // A page that isn't there is nothing to complain of; what breaks a page's policy, or a script, is.
  const isAnswer = (text) => text.startsWith('Failed to load resource: the server responded with a status of 4');
  context.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !isAnswer(message.text())) complaints.push(message.text());
  });
  context.on('weberror', (error) => complaints.push(error.error().message));
  return context.newPage();
}

async function run({ name, body, options }, browser) {
  const page = await visitor(browser, options);
  try {
    await body(page, browser);
    assert.deepEqual(complaints.splice(0), [], 'what the browser complains of');
    console.log(`${name} ... ok`);
    return true;
  } catch (error) {
    complaints.length = 0;
    await shoot(page, `failed-${name.replace(/\W+/g, '-')}`).catch(() => {});
    console.log(`at ${page.url()}: ${error.stack}\n${name} ... FAILED`);
    return false;
  } finally {
    await Promise.all(browser.contexts().map((context) => context.close()));
  }
}

mkdirSync(screenshots, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox'],
});
const wanted = tests.filter(({ name }) => name.includes(process.env.ONLY ?? ''));
let passed = 0;
for (const one of wanted) passed += await run(one, browser);
await browser.close();
console.log(`${passed} passed, ${wanted.length - passed} failed`);
process.exitCode = passed === wanted.length ? 0 : 1;
