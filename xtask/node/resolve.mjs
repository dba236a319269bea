// Lets scripts of this repository import packages that set-up has installed in its cache folder:
// `node --import xtask/node/resolve.mjs SCRIPT`, with MOEGATE_NODE_MODULES naming the node_modules folder there.
import { registerHooks } from 'node:module';
import { resolve as absolute } from 'node:path';
import { pathToFileURL } from 'node:url';

const modules = process.env.MOEGATE_NODE_MODULES;
if (!modules) throw new Error('MOEGATE_NODE_MODULES is not set: start this through `cargo xtask`');
const parentURL = pathToFileURL(absolute(modules, '..', 'package.json')).href;

registerHooks({
  resolve(specifier, context, next) {
    const fromOutside = !context.parentURL?.includes('/node_modules/');
    const bare = /^(@[\w.-]+\/)?[a-z][\w.-]*(\/|$)/i.test(specifier);
    return next(specifier, bare && fromOutside ? { ...context, parentURL } : context);
  },
});
