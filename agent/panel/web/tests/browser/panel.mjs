// One mock box and one browser page for each test.

import test from "node:test";
import { startMock } from "../mock.mjs";
import { TABLET, guard, launch, login } from "./helpers.mjs";

export * from "./helpers.mjs";

let browser;
test.after(async () => browser?.close());

/** A test with a box, and a page that is logged in as `user` (null: not logged in). */
export function panel(name, { user, size = TABLET, lang = "en", theme = "light", page: at = "" }, run) {
  test(name, { timeout: 90_000 }, async () => {
    browser ??= await launch();
    const mock = await startMock();
    const context = await browser.newContext({
      viewport: size,
      hasTouch: true,
      locale: lang === "zh" ? "zh-CN" : "en-GB",
      acceptDownloads: true,
      timezoneId: "America/New_York",
    });
    await context.addInitScript(
      (kept) => localStorage.getItem("kakou-panel") ?? localStorage.setItem("kakou-panel", JSON.stringify(kept)),
      { lang, theme },
    );
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    const guarded = guard(page, mock.url);
    try {
      await page.goto(`${mock.url}/${at}`);
      if (user) await login(page, user);
      await run({ page, box: mock.box, url: mock.url, context });
      guarded.check();
    } finally {
      await context.close();
      await mock.close();
    }
  });
}
