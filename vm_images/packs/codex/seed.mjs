// Codex's databases as they are before its first thread: sixty migrations that a machine need not run again.
// Usage: node seed.mjs CODEX FOLDER
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";

const [codex, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const server = spawn(codex, ["app-server"], { env: { CODEX_HOME: folder, HOME: folder }, stdio: ["pipe", "pipe", "ignore"] });
const clientInfo = { name: "skerry", title: null, version: "0" };
server.stdin.write(JSON.stringify({ id: 1, method: "initialize", params: { clientInfo } }) + "\n");
for await (const line of createInterface({ input: server.stdout })) {
  if (JSON.parse(line).id === 1) break;
}
server.stdin.end();
server.stdout.resume();
await once(server, "exit");

for (const name of readdirSync(folder)) {
  if (!name.endsWith(".sqlite")) {
    if (!/\.sqlite-(wal|shm)$/.test(name)) rmSync(join(folder, name), { recursive: true });
    continue;
  }
  const database = new DatabaseSync(join(folder, name));
  database.exec("PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE);");
  database.close();
}
if (!readdirSync(folder).some((name) => /^state_\d+\.sqlite$/.test(name))) throw new Error("Codex made no state database");
