// Drives a simulator with Stripe's own Node SDK, and takes its webhooks as the SDK's users do.
//
// usage: main.mjs JUDGE SIMULATOR [NAME…]
//
// JUDGE is the address of spec_proxy in front of SIMULATOR. A NAME picks tests by a part of their name.
import * as calls from './calls.mjs';
import * as deliveries from './deliveries.mjs';
import * as weather from './weather.mjs';
import { startOver } from './harness.mjs';

const wanted = process.argv.slice(4);
let failed = 0;
for (const [subject, tests] of Object.entries({ calls, deliveries, weather })) {
  for (const [name, test] of Object.entries(tests)) {
    const sentence = name.replaceAll('$', '');
    if (wanted.length && !wanted.some((part) => part === subject || sentence.includes(part))) continue;
    try {
      await startOver();
      await test();
      console.log(`node ${subject}: ${sentence} ... ok`);
    } catch (error) {
      failed += 1;
      console.log(`node ${subject}: ${sentence} ... FAILED`);
      console.error(error);
    }
  }
}
process.exit(failed > 0 ? 1 : 0); // connections kept open would keep the process alive
