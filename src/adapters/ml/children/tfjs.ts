// The process that runs models by TensorFlow.js itself.

import { tfjsHandlers } from '../model/tfjs-handlers.ts';
import { serve } from '../process/serve.ts';

serve(tfjsHandlers);
