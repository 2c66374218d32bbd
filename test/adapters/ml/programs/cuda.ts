// The same, as a kind whose memory the system doesn't count: only the watch of the parent bounds it.
import './onnx.ts';
