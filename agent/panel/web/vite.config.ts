import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The box sends a Content-Security-Policy that allows nothing inline and no data: URI, so every
// script, style and picture is a file of its own.
export default defineConfig({
  base: "./",
  plugins: [svelte({ compilerOptions: { css: "external", runes: true } })],
  build: {
    target: ["chrome92", "firefox91", "safari15"],
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
  },
});
