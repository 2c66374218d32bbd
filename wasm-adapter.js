// For `require('./wasm-adapter.js')` and `import` from the checkout; the package exports the same from its build.
export * from './src/doors/wasm-adapter.ts';
