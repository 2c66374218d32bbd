// The process that decodes images.
import { imageHandlers } from '../image/decode.ts';
import { serve } from '../process/serve.ts';

serve(imageHandlers);
