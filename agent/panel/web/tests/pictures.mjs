// Makes docs/images/panel-*.jpg anew: the pages of a real box that looks at the sample footage, on a
// tablet, in both languages. KAKOU names the agent (target/release/kakou).

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, PASSWORD, ROOT, startBox } from "./box.mjs";
import { TABLET, launch, until } from "./browser/helpers.mjs";

const LIST = `plate,level,category,reason,valid_until,authority
京N8P527,yellow,overdue_inspection,自 2025 年起未检验,,
鲁E6K829,red,stolen,周一报失，车主在城北,,北区公安分局
粤B5T63B,orange,clone_suspected,同号车辆同日在两地出现,,北区公安分局
豫P3H792,blue,emission_class,限行时段,,
`;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const LARGEST = 150_000;

async function shoot(page, name, lang) {
  const path = join(ROOT, "docs/images", `panel-${name}${lang === "zh" ? "-zh" : ""}.jpg`);
  for (const quality of [85, 75, 65, 55, 45]) {
    const bytes = await page.screenshot({ type: "jpeg", quality });
    if (bytes.length > LARGEST) continue;
    writeFileSync(path, bytes);
    console.log(`${path}: ${bytes.length} bytes`);
    return;
  }
  throw new Error(`${path} does not get small enough`);
}

async function enter(browser, box, user, lang) {
  const locale = lang === "zh" ? "zh-CN" : "en-GB";
  const page = await (await browser.newContext({ viewport: TABLET, hasTouch: true, locale })).newPage();
  await page.goto(box.url);
  await page.fill("#name", user);
  await page.fill("#password", PASSWORD);
  await page.click("[data-test=login]");
  await page.waitForSelector('[data-test=link][data-link="live"]');
  return async (at, ready) => {
    await page.evaluate((to) => (location.hash = `#/${to}`), at);
    await page.waitForSelector(ready);
    return page;
  };
}

const box = await startBox(["day", "dusk"]);
const browser = await launch();
try {
  writeFileSync(join(box.folder, "list.csv"), LIST);
  const operator = await Client.enter(box, "operator");
  const passed = async () => (await operator.json("/passages?limit=60")).passages.length;
  await until("enough has passed", async () => (await passed()) > 20, 300_000);
  for (const lang of ["en", "zh"]) {
    const hits = await enter(browser, box, "officer", lang);
    let page = await hits("hits", "[data-hit].lvl-red");
    await page.locator("[data-hit].lvl-red").first().click();
    await page.waitForSelector("article.lvl-red img.crop");
    await page.click("[data-test=sound-on]");
    await page.waitForSelector("article.lvl-red [data-verdict=confirmed]:enabled");
    await shoot(page, "hits", lang);
    const cameras = await enter(browser, box, "installer", lang);
    page = await cameras("cameras/cam-1", "[data-test=stage]:not([data-frame=''])");
    await page.click("[data-layer=motion]");
    await sleep(4_000);
    await page.waitForFunction(() => document.querySelectorAll("[data-test=stage] text").length > 3);
    await shoot(page, "camera", lang);
    const others = await enter(browser, box, "operator", lang);
    await shoot(await others("box", "[data-test=health]"), "box", lang);
    page = await others("passages", "[data-passage]");
    await sleep(1_500);
    await shoot(page, "passages", lang);
    page = await others("quality", "[data-test=lane-quality]");
    await shoot(page, "quality", lang);
  }
} finally {
  await browser.close();
  await box.stop();
}
