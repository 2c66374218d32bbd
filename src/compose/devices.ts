export { probeDevices } from '../adapters/ml/device/devices.ts';
