// SPDX-License-Identifier: GPL-3.0-or-later
import { defineConfig } from "vite";

// Fixed names, because the files are committed and embedded in the program.
export default defineConfig({
  build: {
    outDir: "dist",
    emptyOutDir: true,
    cssCodeSplit: false,
    modulePreload: false,
    target: "es2022",
    rollupOptions: {
      output: {
        entryFileNames: "app.js",
        assetFileNames: "app.[ext]",
        codeSplitting: false,
      },
    },
  },
});
