// examples/next-chat in Chromium, before the gateway on both hosts: `cargo xtask test browser`.
//
// Leaves pictures in build/browser, in both themes, for people to look at.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { cases } from './cases.mjs';
import { variable, World } from './world.mjs';

const VIEWPORT = { width: 900, height: 720 };
const CASE_MS = 30_000;

let passed = 0;
let failed = 0;
const out = variable('MOEGATE_BROWSER_OUT');
mkdirSync(out, { recursive: true });

async function play(browser, world, host, name, act) {
  const context = await browser.newContext({ viewport: VIEWPORT });
  const page = await context.newPage();
  page.setDefaultTimeout(CASE_MS);
  const faults = [];
  page.on('pageerror', (error) => faults.push(`${error}`));
  const open = (path) => page.goto(world.page + path, { waitUntil: 'networkidle' });
  const shot = async (of) => {
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: join(out, `${host}-${of}-${colorScheme}.png`) });
    }
  };
  try {
    await open('/');
    await act({ page, world, open, shot });
    if (faults.length > 0) throw new Error(`the page failed: ${faults.join('; ')}`);
    passed += 1;
    console.log(`${host}: ${name} ... ok`);
  } catch (error) {
    failed += 1;
    await page.screenshot({ path: join(out, `${host}-failed-${failed}.png`) }).catch(() => {});
    console.log(`${host}: ${name} ... FAILED\n${error.stack ?? error}`);
  } finally {
    await context.close();
  }
}

const browser = await chromium.launch({ executablePath: variable('MOEGATE_CHROMIUM'), args: ['--disable-gpu', '--disable-dev-shm-usage'] });
try {
  for (const host of (process.env.MOEGATE_HOSTS ?? 'workerd,spin').split(',')) {
    const world = new World();
    try {
      await world.start(host);
      for (const [name, act] of Object.entries(cases)) await play(browser, world, host, name, act);
    } catch (error) {
      failed += 1;
      console.log(`${host}: ${error.stack ?? error}`);
    } finally {
      await world.stop();
    }
  }
} finally {
  await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
