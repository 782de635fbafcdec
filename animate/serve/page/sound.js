// Hand on the microphone's samples with their time, in milliseconds of performance.now.
export async function listen(take) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false } });
  const context = new AudioContext();
  await context.audioWorklet.addModule("microphone.js");
  const node = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }) => {
    const stamp = context.getOutputTimestamp();
    const known = stamp.performanceTime > 0;
    const at = known ? stamp.performanceTime + 1000 * (data.began - stamp.contextTime) : performance.now();
    take(data.samples, Math.min(at, performance.now()));
  };
  context.createMediaStreamSource(stream).connect(node);
  return {
    rate: context.sampleRate,
    close: () => {
      stream.getTracks().forEach((track) => track.stop());
      context.close();
    },
  };
}
