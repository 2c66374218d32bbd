// The process that decodes images, and prepares what is large for its model.
import { imageHandlers } from '../image/decode.ts';
import { type PreprocessJob, preprocess } from '../infer/preprocess.ts';
import { serve } from '../process/serve.ts';

serve({
  ...imageHandlers,
  preprocess: ({ tensor, steps, info, path }: PreprocessJob) => preprocess(tensor, steps, info, path),
});
