export { gpuLabels, probeDevices } from '../adapters/ml/device/devices.ts';
