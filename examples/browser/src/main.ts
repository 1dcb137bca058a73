/** The page: wires what a person does to the session in its worker. */
import { Camera } from "./camera.js";
import { ClassCards } from "./class-cards.js";
import type { ComputeWish } from "./compute.js";
import { ImageAdder } from "./image-adder.js";
import { onDrop, pastedImages, pickedImages, type FoundImage } from "./image-intake.js";
import { LearningPanel } from "./learning-panel.js";
import { ModelPanel } from "./model-panel.js";
import { keepForOffline } from "./offline.js";
import { byId, create, reporting, showFailure } from "./page-elements.js";
import { PictureSet, type UseRule } from "./picture-set.js";
import { accuracyClause, ResultPanel } from "./result-panel.js";
import { SampleDigits } from "./sample-digits.js";
import { SessionClient } from "./session-client.js";

const client = new SessionClient();
const { session } = client;
const set = new PictureSet();
const camera = new Camera();

const imageFailure = byId("image-failure", HTMLElement);
const imageStatus = byId("image-status", HTMLElement);
const useRule = byId("use-rule", HTMLSelectElement);
const wish = byId("wish", HTMLSelectElement);
const tryPlace = byId("try", HTMLElement);

const INSECURE =
  "This page came neither over https nor from localhost: browsers then give it no WebGPU, no threads, no camera, no use offline " +
  "and no hash function, without which nothing can be learned here. Serve it over https, or open it on localhost.";

let computing = false;
let started = false;

const adder = new ImageAdder({
  set,
  check: (blob, name) => session.checkImage(blob, name),
  rule: () => useRule.value as UseRule,
  tell: (message) => {
    imageStatus.textContent = message;
    settle();
  },
});
const cards = new ClassCards(set, { add: (id, images) => adder.addTo(id, images), failure: imageFailure, camera });
const resultPanel = new ResultPanel({
  predict: (blob, name) => session.predict(blob, name),
  composition: () => session.composition(),
});
const modelPanel = new ModelPanel((location) => {
  resultPanel.hide();
  return session.open(location);
}, () => { settle(); });
const learningPanel = new LearningPanel({ learn: () => { void learn(); }, stop: () => { void session.stop(); }, change: () => { settle(); } });

/** Lets the learn button say what is missing. */
function settle(): void {
  if (computing) return;
  const model = modelPanel.tasks.length === 0 ? ["Load a model and tick at least one task vector."] : [];
  const waiting = [
    ...(started ? [] : ["Wait until this page knows what it computes with."]),
    ...(adder.isLooking ? ["Wait until the new images have been looked at."] : []),
  ];
  learningPanel.require([...waiting, ...model, ...set.problems(), ...learningPanel.problems]);
}

/** While it learns, neither model nor settings can be changed under it. */
function setComputing(now: boolean): void {
  computing = now;
  byId("model", HTMLElement).inert = now;
  byId("settings", HTMLElement).inert = now;
}

async function learn(): Promise<void> {
  setComputing(true);
  const tasks = modelPanel.tasks;
  resultPanel.hide();
  learningPanel.begin(tasks, modelPanel.blocks);
  try {
    const result = await client.learn({
      classNames: set.classNames,
      templates: learningPanel.templates,
      learning: set.labelled("learning"),
      checking: set.labelled("checking"),
      tasks,
      settings: learningPanel.settings,
    }, {
      onStep: (step, steps, loss) => { learningPanel.step(step, steps, loss); },
      onEpoch: (report) => { learningPanel.epoch(report); },
    });
    resultPanel.show(result);
    learningPanel.end(`${result.stopped ? "Stopped" : "Done"}: ${accuracyClause(result)}. The result is below.`);
  } catch (failure) {
    learningPanel.fail(failure);
  } finally {
    setComputing(false);
    settle();
  }
}

async function start(): Promise<void> {
  const device = byId("device", HTMLElement);
  const remarks = byId("remarks", HTMLUListElement);
  started = false;
  resultPanel.hide();
  settle();
  device.textContent = "Looking for something to compute with …";
  try {
    const summary = await session.start(wish.value as ComputeWish);
    device.textContent = `Computes with ${summary.device}`;
    remarks.replaceChildren(...summary.remarks.map((remark) => create("li", { textContent: remark })));
    started = true;
  } catch (failure) {
    device.textContent = "Cannot compute here";
    remarks.replaceChildren(create("li", { className: "failure", textContent: failure instanceof Error ? failure.message : String(failure) }));
  }
  settle();
}

/** An image to try where a result is in use, otherwise one for the class that was used last. */
function takePasted(images: FoundImage[], target: EventTarget | null): void {
  const [first] = images;
  if (first === undefined) return;
  if (resultPanel.shown && target instanceof Node && tryPlace.contains(target)) {
    resultPanel.tryImage(first.blob, first.name);
    return;
  }
  const current = cards.current ?? set.addClass();
  reporting(imageFailure, () => adder.addTo(current.id, images));
}

set.onChange(settle);
wish.addEventListener("change", () => { void start(); });
byId("add-class", HTMLButtonElement).addEventListener("click", () => { cards.focus(set.addClass().id); });
byId("samples", HTMLButtonElement).addEventListener("click", () => {
  reporting(imageFailure, async () => {
    const samples = await SampleDigits.load();
    const { templates, augmentation, task } = samples.sheet;
    const classes = await samples.classes();
    learningPanel.suggest(templates, augmentation);
    modelPanel.untick(task);
    set.replace(classes);
    imageStatus.textContent = `Sample digits added. The task vector ${task} has seen such images and is not ticked.`;
  });
});
const imageFolder = byId("image-folder", HTMLInputElement);
imageFolder.addEventListener("change", () => {
  const images = pickedImages(imageFolder.files);
  imageFolder.value = "";
  reporting(imageFailure, () => adder.addFolder(images));
});
onDrop(byId("images", HTMLElement), (images) => { reporting(imageFailure, async () => adder.addFolder(await images)); });
document.addEventListener("paste", (event) => {
  const images = pastedImages(event.clipboardData);
  if (images.length === 0) return;
  event.preventDefault();
  takePasted(images, document.activeElement);
});

const tryFile = byId("try-file", HTMLInputElement);
tryFile.addEventListener("change", () => {
  for (const { blob, name } of pickedImages(tryFile.files)) resultPanel.tryImage(blob, name);
  tryFile.value = "";
});
onDrop(tryPlace, (images) => {
  void images.then(([first]) => { if (first !== undefined) resultPanel.tryImage(first.blob, first.name); });
});
byId("try-camera", HTMLButtonElement).addEventListener("click", () => {
  reporting(byId("try-failure", HTMLElement), () => camera.open((picture) => { resultPanel.tryImage(picture, "camera picture"); }));
});

set.addClass();
set.addClass();
if (globalThis.isSecureContext) {
  void keepForOffline((_state, message) => { byId("offline", HTMLElement).textContent = message; });
  void start().then(() => { modelPanel.loadZoo(); });
} else {
  byId("device", HTMLElement).textContent = "Cannot compute here";
  byId("offline", HTMLElement).textContent = "Not available offline";
  showFailure(byId("model-failure", HTMLElement), INSECURE);
}
