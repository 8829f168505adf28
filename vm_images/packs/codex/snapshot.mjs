// The adapter as a Node.js start-up snapshot: its modules are loaded when the pack is made, not at each start.
import { startupSnapshot } from "node:v8";
import { main } from "./adapter.mjs";

startupSnapshot.setDeserializeMainFunction(main);
