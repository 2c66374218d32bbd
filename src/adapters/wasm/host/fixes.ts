import type { ModuleImport } from '../types.ts';

/** What whoever builds a module can do about an import that is not offered. */
export function fixOf({ module, name, kind }: ModuleImport): string {
  if (kind === 'memory')
    return 'let the module have a memory of its own: link with --export-memory and without --import-memory (AssemblyScript: without --importMemory; Emscripten: without -sIMPORTED_MEMORY)';
  if (kind === 'table')
    return 'let the module have a table of its own: link without --import-table (AssemblyScript: without --importTable)';
  if (kind === 'global')
    return 'link the module statically: position-independent side modules (-shared, -sSIDE_MODULE) need a host that links them';
  if (kind === 'tag') return 'build without WebAssembly exceptions (Emscripten: without -fwasm-exceptions)';
  if (module === 'wasi_unstable' || module === 'wasi_snapshot_preview0')
    return 'build with a newer SDK: this is a draft of WASI; wasi_snapshot_preview1 is what runs here';
  if (module.startsWith('wasi:'))
    return 'build for WASI preview 1 (Rust: --target wasm32-wasip1; TinyGo: -target=wasip1): components need another kind of host';
  if (module === 'wasi' || name === 'thread-spawn') return 'build without threads';
  if (module.startsWith('wasi_'))
    return 'drop what uses this extension of WASI; only wasi_snapshot_preview1 is offered';
  if (module === 'extism:host/user')
    return 'drop the host function, or move its work to a step of its own whose result is passed in the input';
  if (module.startsWith('extism:')) return 'build with a current plug-in kit of Extism';
  if (/^__wbg|^__wbindgen/.test(name) || module === '__wbindgen_placeholder__' || module.endsWith('_bg.js'))
    return 'it needs the JavaScript that wasm-bindgen generates, which never runs here: export plain functions (extern "C"), or build for wasm32-wasip1';
  if (module === 'gojs' || module === 'go') return 'build with TinyGo, or with GOOS=wasip1 GOARCH=wasm';
  if (/^(a|b)$/.test(module) && name.length <= 2)
    return 'the names were minified by Emscripten, which takes its JavaScript for granted: link with -sSTANDALONE_WASM';
  if (/^(_?emscripten_|_em(bind|val)_|invoke_|__cxa_|gl[A-Z]|egl|SDL_)/.test(name))
    return 'link with -sSTANDALONE_WASM, and without what needs JavaScript (EM_JS, Embind, WebGL, exceptions, setjmp)';
  if (module === 'env')
    return `provide ${JSON.stringify(name.slice(0, 100))} within the module: it was declared but not defined when the module was linked (AssemblyScript: drop the declare or what uses it)`;
  return 'drop the function that needs it, or define it within the module';
}
