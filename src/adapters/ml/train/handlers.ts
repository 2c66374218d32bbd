import { messageOf, StepError } from '../../../lib/errors.ts';
import { onnxRuntime } from '../process/package.ts';
import { evaluate, type Runtime } from './evaluator.ts';
import type { EvaluateAnswer, EvaluateJob, TrainAnswer, TrainJob } from './job.ts';
import { train } from './trainer.ts';

type On<T> = T & { device: string };

/** ONNX Runtime on a device. What a GPU has no operator for runs on the CPU beside it. */
function runtimeOn(device: string): Runtime {
  const { InferenceSession, Tensor } = onnxRuntime('training needs');
  return {
    async create(model, threads) {
      const options = {
        executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        logSeverityLevel: 4,
      } as const;
      return InferenceSession.create(model, options).catch((thrown: unknown) => {
        const [line = ''] = messageOf(thrown).split('\n');
        if (device !== 'cpu') throw new StepError('ML_NO_GPU', `ONNX Runtime has no ${device} device here: ${line}`);
        throw thrown;
      });
    },
    tensor: (data, shape) => new Tensor('float32', data, shape),
  };
}

/** What a process that trains answers: native code runs in these, and nowhere else. */
export const trainHandlers = {
  train: (job: On<TrainJob>, { emit }: { emit(event: unknown): void }): Promise<TrainAnswer> =>
    train(job, runtimeOn(job.device), emit),
  evaluate: (job: On<EvaluateJob>): Promise<EvaluateAnswer> => evaluate(job, runtimeOn(job.device)),
};
