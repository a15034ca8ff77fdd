// What the mock box knows: made of the contract's golden messages, with times of now.

import { readFileSync } from "node:fs";

const golden = (name) =>
  JSON.parse(readFileSync(new URL(`../../../../contract/golden/${name}.json`, import.meta.url), "utf8"));

const ZONE_MINUTES = 480;

/** RFC 3339 of `ms` with the site's offset. */
export function stamp(ms) {
  return `${new Date(ms + ZONE_MINUTES * 60_000).toISOString().slice(0, 23)}+08:00`;
}

export const HOSTILE = "<img src=x onerror=window.owned=1>";

export const USERS = {
  officer: { password: "officer-pass", roles: ["officer"] },
  installer: { password: "installer-pass", roles: ["installer"] },
  operator: { password: "operator-pass", roles: ["operator"] },
  chief: { password: "chief-pass", roles: ["officer", "installer", "operator"] },
};

let serial = 0;
/** A UUIDv7 in form; the same story gives the same ids. */
function uuid() {
  serial++;
  return `01c2abf3-496c-7000-8000-${String(serial).padStart(12, "0")}`;
}

export function characters(text, weakest, other, confidence) {
  return [...text].map((char, i) => ({
    char,
    confidence: i === weakest ? confidence : 0.9981,
    runner_up: i === weakest && other ? { char: other, confidence: 0.0164 } : null,
  }));
}

/** A hit, with whatever `change` says otherwise. */
export function makeHit(now, change = {}) {
  const base = golden("hit");
  delete base.evidence;
  const hit = {
    ...base,
    id: uuid(),
    passage_id: uuid(),
    state: "provisional",
    time: stamp(now - 1_500),
    decided_at: stamp(now - 1_000),
    category: "stolen",
    reason: "报案被盗，案件 31-0504",
    ...change,
  };
  hit.entry = { ...base.entry, authority: "支队指挥中心", ...(change.entry ?? {}) };
  hit.doubt = { ...base.doubt, ...(change.doubt ?? {}) };
  hit.plate = { ...base.plate, ...(change.plate ?? {}) };
  // The box numbers it when it is told.
  return { run: 1, number: 0, told: stamp(now), hit, pictures: pictures(hit.id), answer: null };
}

export function nearHit(now, change = {}) {
  const near = golden("hit-near");
  return makeHit(now, {
    level: "yellow",
    category: "overdue_inspection",
    reason: "自 2029 年起未检验",
    entry: { plate: "冀Z7KDT9", class: "truck", list: "county", kind: { code: "02", standard: "GA 36" } },
    doubt: near.doubt,
    ...change,
  });
}

export function pictures(id) {
  const url = (role) => `/api/v1/pictures/${id}/${role}`;
  return { frame: url("frame"), plate: url("plate"), thumbnail: url("thumbnail") };
}

const TEXTS = ["冀Z7K0T9", "鲁E6K829", "京Q88888", "冀A12345", "豫B3C77D", "津C90Q21"];

export function makePassage(now, sequence, change = {}) {
  const read = sequence % 5 !== 0;
  const base = golden(read ? "passage" : "passage-no-plate");
  delete base.evidence;
  const text = TEXTS[sequence % TEXTS.length];
  const passage = { ...base, id: uuid(), sequence, time: stamp(now), camera: sequence % 3 ? "cam-1" : "cam-2", ...change };
  delete passage.wrong_way;
  if (read && !change.plate) {
    passage.plate = { ...base.plate, text, raw: text, characters: characters(text, 4, "D", 0.97) };
  }
  return { sequence, passage, pictures: read ? pictures(passage.id) : {}, hit: sequence % 17 === 0 };
}

export function makeStatus(now, change = {}) {
  const status = golden("status-online");
  status.time = stamp(now);
  status.started_at = stamp(now - 9_000_000);
  for (const camera of status.cameras) {
    camera.since = stamp(now - 600_000);
    camera.last_frame = stamp(now - 30);
  }
  status.watchlist = {
    ...status.watchlist,
    lists: [
      { name: "prefecture", health: "ok", entries: 1874, refused: 3, version: "2031-05-04.2", authority: "支队指挥中心", since: stamp(now - 3_600_000) },
      { name: "county", health: "degraded", entries: 212, refused: 0, since: stamp(now - 86_400_000), detail: "county.csv: No such file or directory (os error 2); the last list stays in use" },
    ],
  };
  return {
    status: { ...status, ...change },
    reasons: ["cam-2: connection refused", "watchlist: county.csv: No such file or directory (os error 2)"],
    uplink: "connected to mqtts://broker.example:8883 since 07:41; 3 messages wait",
    traffic: [
      { camera: "cam-1", passages: 1204, read: 1177, hits: 4, last_passage: stamp(now - 4_000), last_read: stamp(now - 4_000) },
      { camera: "cam-2", passages: 986, read: 921, hits: 1, last_passage: stamp(now - 700_000), last_read: null },
    ],
    viewers: 2,
    certificates: [
      { about: "broker.ca", ends: stamp(now + 400 * 86_400_000) },
      { about: "broker.certificate", ends: stamp(now + 9 * 86_400_000) },
      { about: "panel.certificate", ends: stamp(now - 86_400_000) },
    ],
  };
}

export function makeLanes() {
  return [
    {
      id: "lane-1",
      name: "最左车道",
      polygon: [[0.3, 0.3], [0.5, 0.3], [0.52, 1], [0.12, 1]],
      trigger: [[0.2, 0.72], [0.5, 0.72]],
      direction: "approaching",
    },
    {
      id: "lane-2",
      name: null,
      polygon: [[0.52, 0.3], [0.68, 0.3], [0.9, 1], [0.56, 1]],
      trigger: [[0.54, 0.72], [0.8, 0.72]],
      direction: "leaving",
    },
  ];
}

export function makeHours(now, hours) {
  const start = Math.floor(now / 3_600_000) * 3_600_000;
  const all = [];
  for (let i = 0; i < hours; i++) {
    for (const [camera, lane, busy] of [["cam-1", "lane-1", 1], ["cam-1", "lane-2", 0.7], ["cam-2", null, 0.4]]) {
      const wave = 0.5 + 0.45 * Math.sin((i / 24) * 2 * Math.PI + busy);
      const passages = Math.round(160 * busy * wave);
      if (passages < 4) continue;
      const share = 0.9 + 0.08 * Math.cos(i * 1.7 + busy);
      all.push({
        start: stamp(start - (hours - 1 - i) * 3_600_000),
        camera,
        lane,
        passages,
        read: Math.round(passages * Math.min(1, share)),
        confidence: 0.93 + 0.05 * Math.sin(i),
        width: 88 + 22 * Math.cos(i * 0.6 + busy),
      });
    }
  }
  return all;
}

export function makeLog(now) {
  const lines = [
    ["INFO", "kakou::app", "ready: 2 cameras, 2 lists"],
    ["WARN", "kakou::camera", "cam-2: connection refused; tried again in 4 s"],
    ["ERROR", "kakou::watchlist", "county.csv: No such file or directory (os error 2); the last list stays in use"],
    ["INFO", "kakou::uplink", `a topic named ${HOSTILE}`],
  ];
  return Array.from({ length: 60 }, (_, i) => {
    const [level, target, text] = lines[i % lines.length];
    return { time: stamp(now - (60 - i) * 7_000), level, target, text };
  });
}

export const FINDINGS = [
  { state: "ok", area: "models", about: null, message: "3 models, all with the expected hash", mend: null },
  { state: "fault", area: "camera", about: "cam-2", message: "10.0.0.12:554: connection refused", mend: "check cable, power, address and the path of the URL" },
  { state: "warning", area: "broker", about: "mqtts://broker.example:8883", message: "its certificate ends in 21 days", mend: "renew it" },
  { state: "ok", area: "clock", about: null, message: "synchronised, offset -3 ms", mend: null },
];
