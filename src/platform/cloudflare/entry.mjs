// The Worker's entry. Everything is in glue.mjs, so that tests can hand it another module.
import module from "../../../build/worker/moegate.wasm";
import { createWorker } from "./glue.mjs";

export default createWorker(module);
