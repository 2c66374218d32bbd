// The process that runs ONNX models.
import { onnxHandlers } from '../model/onnx-handlers.ts';
import { serve } from '../process/serve.ts';

serve(onnxHandlers);
