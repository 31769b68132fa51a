// Puts the style sheet where Flask serves it, without comments and blank space.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

const target = "src/gallery/static/dist";
const style = readFileSync("assets/gallery.css", "utf8");
mkdirSync(target, { recursive: true });
writeFileSync(`${target}/gallery.css`, style.replace(/\/\*.*?\*\//gs, "").replace(/\s+/g, " ").trim());
