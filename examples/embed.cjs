// An engine within your own program: CommonJS. After `npm install jsonflow` it is require('jsonflow').
const { DistributedEngine } = require('../distributed-engine.js');
const workflow = require('./hello.json');

async function main() {
  const engine = new DistributedEngine({ dataDir: false });
  const result = await engine.execute(workflow, { name: 'Ada' });
  console.log(result.outputs.twice.result);
  await engine.close();
}

main();
