// Evaluates flags with the Flagsmith Node SDK, in local evaluation, as the plan on standard input says: see client.py.

import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Flagsmith } from 'flagsmith-nodejs';

const TIMER_MS = 10_000;

const plan = JSON.parse(await text(process.stdin));
const client = new Flagsmith({
  environmentKey: plan.key,
  apiUrl: plan.api_url,
  enableLocalEvaluation: true,
  enableAnalytics: true,
});
const analytics = client.analyticsProcessor;
const counted = () => Object.keys(analytics.analyticsData).length;

// The SDK forgets what is evaluated while a flush is under way (it empties its counts after the answer): that loss
// is the SDK's own, so evaluations wait for the end of a flush here.
async function flushed() {
  while (analytics.currentFlush) await sleep(2);
  assert.equal(counted(), 0, 'the flush failed: the SDK kept its counts');
}

for (const [evaluations, then] of plan.steps) {
  const names = Object.entries(evaluations).flatMap(([name, count]) => Array(count).fill(name));
  const last = then === 'timer' ? names.pop() : undefined;
  for (const [place, name] of names.entries()) {
    // `getEnvironmentFlags()` counts nothing in local evaluation.
    const flags = await client.getIdentityFlags(`user-${place % 50}`);
    assert.equal(flags.getFeatureValue(name), `value of ${name}`);
    // Where this takes longer than the SDK's own timer, that one's flush begins here: see above.
    while (analytics.currentFlush) await sleep(2);
  }
  if (then === 'timer') {
    await sleep(TIMER_MS + 100);
    (await client.getIdentityFlags('user')).isFeatureEnabled(last);
    await flushed();
  } else if (then === 'flush') {
    await analytics.flush();
    await flushed();
  }
}
assert.equal(counted(), 0, 'the plan ends without a flush');
await client.close();
