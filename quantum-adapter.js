// For `require('./quantum-adapter.js')` and `import` from the checkout; the package exports the same from its build.
export * from './src/doors/quantum-adapter.ts';
