// For `require('./distributed-engine.js')` and `import` from the checkout; the package exports the same from its build.
export * from './src/doors/distributed-engine.ts';
