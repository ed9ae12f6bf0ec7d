#!/usr/bin/env bash
# Puts npm's code-server (VS Code as a web page) and playwright-core into a folder, for try.mjs: `install.sh FOLDER`.
# Needs Node 20 with its headers, a C++ compiler, and chromium. Two minutes.
set -euo pipefail
mkdir -p "$1" && cd "$1"
export npm_config_nodedir="${npm_config_nodedir:-$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")}"
npm init -y >/dev/null
# No install scripts: among them is one that fetches a program from elsewhere. What is native and needed is built by name.
npm install --ignore-scripts --no-audit --no-fund code-server@4.100.3 playwright-core@1
npm rebuild --foreground-scripts argon2
cd node_modules/code-server/lib/vscode
npm install --ignore-scripts --no-audit --no-fund --omit=dev --unsafe-perm
for name in @vscode/spdlog native-watchdog @parcel/watcher; do npm rebuild --foreground-scripts "$name"; done
ln -sfn node_modules node_modules.asar
