// The process that runs ONNX models.
import { onnxHandlers } from '../model/onnx-handlers.ts';
import { serve } from '../process/serve.ts';

// A model may name files beside it, which are looked for here: there is nothing to be had but what everyone has.
process.chdir(import.meta.dirname);
// A session has its own copy of its model, and a run is over when it has answered.
serve(onnxHandlers, true);
