#!/usr/bin/env node
// `node distributed-node.js …` is `jsonflow node …`.
process.argv.splice(2, 0, 'node');
import('./bin/jsonflow.js');
