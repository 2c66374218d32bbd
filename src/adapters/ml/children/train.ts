// The process that trains models.
import { serve } from '../process/serve.ts';
import { trainHandlers } from '../train/handlers.ts';

serve(trainHandlers);
