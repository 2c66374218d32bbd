// A Restate service that runs layers of no-op steps, each step a durable `ctx.run`: node restate-service.js PORT
import * as restate from '@restatedev/restate-sdk';

const dag = restate.service({
  name: 'dag',
  handlers: {
    run: async (ctx, { layers }) => {
      let steps = 0;
      // A layer at a time: the same order as the graph's, and the least that the handler has to do.
      for (const layer of layers) {
        const results = await restate.RestatePromise.all(layer.map((id) => ctx.run(id, () => id)));
        steps += results.length;
      }
      return steps;
    },
  },
});

restate.serve({ services: [dag], port: Number(process.argv[2]) });
